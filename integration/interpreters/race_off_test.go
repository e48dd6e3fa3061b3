//go:build !race

package interpreters_test

const underRace = false
