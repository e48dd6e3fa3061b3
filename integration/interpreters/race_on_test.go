//go:build race

package interpreters_test

// The race detector makes the memory of an interpreter cost twenty times as much to create.
const underRace = true
