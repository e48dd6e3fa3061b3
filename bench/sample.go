package main

import "slices"

// A Sample is one figure for each round, in the order of the rounds.
type Sample []float64

// over is the ratio to another sample in each round: what disturbs a round disturbs both.
func (s Sample) over(t Sample) Sample {
	ratios := make(Sample, min(len(s), len(t)))
	for i := range ratios {
		ratios[i] = s[i] / t[i]
	}
	return ratios
}

func (s Sample) median() float64 {
	sorted := slices.Sorted(slices.Values(s))
	n := len(sorted)
	if n == 0 {
		return 0
	}
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// text writes the median, and the least and the most if there was more than one round.
func (s Sample) text(u Unit) string {
	m := s.median()
	scale := u.scaleFor(m)
	text := scale.text(m)
	if len(s) > 1 {
		text += " (" + scale.text(slices.Min(s)) + ".." + scale.text(slices.Max(s)) + ")"
	}
	return text + scale.suffix()
}

// minus is the difference to another sample in each round.
func (s Sample) minus(t Sample) Sample {
	differences := make(Sample, min(len(s), len(t)))
	for i := range differences {
		differences[i] = s[i] - t[i]
	}
	return differences
}
