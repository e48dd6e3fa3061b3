//go:build !(linux || darwin || freebsd || netbsd || openbsd || dragonfly)

package procpool

import (
	"errors"
	"os"
	"os/exec"
	"syscall"
	"time"

	"github.com/seed7d1be1d5/concurrent/ipc"
	"github.com/seed7d1be1d5/concurrent/procpool/internal/confine"
)

// Workers inherit descriptors by number, which this system cannot do: New refuses.
const supported = false

const atomicWrite = 0

const weighs = false

type process struct {
	requests, responses, stdout, stderr *os.File
	exited                              chan struct{}
	state                               *os.ProcessState
}

func startProcess(*exec.Cmd, int, *confine.Cell) (*process, error) {
	return nil, errors.ErrUnsupported
}
func (p *process) signal(syscall.Signal)             {}
func (p *process) turnFrom()                         {}
func (p *process) ended() *os.ProcessState           { return nil }
func (p *process) setDeadline(time.Time)             {}
func (p *process) tryWrite([]byte) bool              { return false }
func (p *process) readable(time.Duration) bool       { return false }
func (p *process) quit()                             {}
func (p *process) dumped() string                    { return "" }
func (p *process) weight() (int64, bool)             { return 0, false }
func (p *process) pid() int                          { return 0 }
func (p *process) close()                            {}
func (p *process) claims() (*ipc.Claims, error)      { return nil, errors.ErrUnsupported }
func (p *process) ring() (*ipc.Ring, error)          { return nil, errors.ErrUnsupported }
func (p *process) arena() (*ipc.Arena, error)        { return nil, errors.ErrUnsupported }
func signalOf(*os.ProcessState) (sig syscall.Signal) { return sig }
func maxRSS(*os.ProcessState) int64                  { return 0 }
