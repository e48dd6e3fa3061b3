package main

import (
	"context"
	"runtime"
)

// A Subject is one of those that are measured in turn.
type Subject struct {
	name    string
	measure func(context.Context) (float64, error)
}

// inTurn measures the subjects one after the other, and again in each round, so that whatever else the machine does hits all
// alike. The samples are in the order of the subjects.
func inTurn(ctx context.Context, rounds int, subjects ...Subject) ([]Sample, error) {
	samples := make([]Sample, len(subjects))
	for range rounds {
		for i, subject := range subjects {
			runtime.GC() // nobody pays for what another has left
			v, err := subject.measure(ctx)
			if err != nil {
				return nil, err
			}
			samples[i] = append(samples[i], v)
		}
	}
	return samples, ctx.Err()
}
