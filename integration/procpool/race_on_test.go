//go:build race

package procpool_test

const raceDetector = true
