package main

import "time"

// rate is how many there were per second since begin.
func rate(n int, begin time.Time) float64 { return float64(n) / time.Since(begin).Seconds() }
