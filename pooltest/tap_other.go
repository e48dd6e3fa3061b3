//go:build !unix

package pooltest

import "os"

// Tap panics if the environment holds a [Wiretap]: there is none on this system.
func Tap() {
	if os.Getenv(tapVar) != "" {
		panic(unsupported("Tap"))
	}
}
