// Package faults holds the fault grid: everything that can go wrong, at every point of a call's life, over real processes. table_test.go says
// what must become of it, and docs/faults.md is made from that.
package faults
