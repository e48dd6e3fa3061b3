package interpreters

import (
	"fmt"
	"runtime"

	"golang.org/x/sys/cpu"
)

// A SlowPolicy says what [Load] does on a platform for which guests cannot be compiled.
type SlowPolicy int

const (
	RefuseSlow SlowPolicy = iota // fail with ErrSlowPlatform
	AllowSlow                    // interpret the guests
)

// checkPlatform says whether wazero has a compiler for goos and goarch. It would choose its interpreter without a word.
func checkPlatform(goos, goarch string, sse41 bool) error {
	switch goos {
	case "linux", "darwin", "freebsd", "netbsd", "windows":
		if goarch == "arm64" {
			return nil
		}
		fallthrough
	case "dragonfly", "solaris", "illumos":
		if goarch == "amd64" && sse41 {
			return nil
		}
	}
	return fmt.Errorf("%w: %s/%s", ErrSlowPlatform, goos, goarch)
}

func checkThisPlatform() error { return checkPlatform(runtime.GOOS, runtime.GOARCH, cpu.X86.HasSSE41) }
