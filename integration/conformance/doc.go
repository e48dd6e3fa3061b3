// Package conformance holds the executors against Python's concurrent.futures: the tests of CPython's
// test_concurrent_futures, each ported and under its own name, run over every executor of this module.
//
// The ports stand in a table of their file: the CPython name beside the function. TestConformance runs the tables over the
// executors listed in executors_test.go; a new executor is one more line there. docs/parity.md says row by row which test
// holds which behaviour, and TestParity keeps it true.
//
// The test binary is its own worker. No test waits by sleeping: calls stop at a door (door_test.go) until the test lets
// them through.
package conformance
