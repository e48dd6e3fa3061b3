package main

import (
	"context"
	"time"
)

// A Measure is one thing that is measured, with what it is compared with.
type Measure struct {
	name string
	run  func(context.Context, *Bench) ([]Row, error)
}

// measures are all of them, in the order of the table.
var measures = []Measure{
	{"call", measureCall},
	{"submit", measureSubmit},
	{"map", measureMap},
	{"bytes", measureBytes},
	{"start", measureStart},
	{"recycle", measureRecycle},
	{"pending", measurePending},
	{"allocs", measureAllocs},
	{"cpu", measureCPU},
	{"fairness", measureFairness},
	{"scale", measureScale},
	{"crowd", measureCrowd},
	{"durations", measureDurations},
	{"guests", measureGuests},
}

// patience is how long a measure may take.
const patience = 5 * time.Minute

// A Bench is what the measures share.
type Bench struct {
	children Children
	python   *CPython // nil if there is none
	rounds   int
	quick    bool

	latencies []Latencies // what measureCall leaves for the plot
	durations *Durations  // what measureDurations leaves for the plot
}

// workers is how many workers a pool has where a measure does not say otherwise.
const workers = 2

// count is how many there are of something of which a full run has n.
func (b *Bench) count(n int) int {
	if b.quick {
		return max(n/10, 1)
	}
	return n
}

// noPython is what a row says of a peer that is written in Python.
const noPython = "no python3 here"
