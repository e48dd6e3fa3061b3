"""A worker that lends Python's statistics module to Go."""
import statistics

from concurrent_worker import function, main


@function("stats.Describe", takes="[]float64")
def describe(sample):
    return {
        "Mean": statistics.fmean(sample),
        "Median": statistics.median(sample),
        "Stdev": statistics.stdev(sample),
    }


main()
