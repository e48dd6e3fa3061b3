package main

import (
	"slices"
	"time"
)

// Latencies are how long the calls of one subject took: those of each round.
type Latencies struct {
	Name   string
	rounds [][]time.Duration
}

// quantile is the q quantile of each round, in seconds.
func (l Latencies) quantile(q float64) Sample {
	var s Sample
	for _, round := range l.rounds {
		s = append(s, quantile(round, q))
	}
	return s
}

// all are those of all rounds, sorted.
func (l Latencies) all() []time.Duration {
	return slices.Sorted(slices.Values(slices.Concat(l.rounds...)))
}

func quantile(took []time.Duration, q float64) float64 {
	sorted := slices.Sorted(slices.Values(took))
	return sorted[min(int(q*float64(len(sorted))), len(sorted)-1)].Seconds()
}
