//go:build linux

package procpool_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/seed7d1be1d5/concurrent/futures"
	"github.com/seed7d1be1d5/concurrent/integration/internal/remains"
	"github.com/seed7d1be1d5/concurrent/procpool"
)

// hostVar makes this program a host of its own, which is there to be killed.
const (
	hostVar = "PROCPOOL_TEST_HOST"
	gateVar = "PROCPOOL_TEST_GATE"
)

// beHost makes a pool of two workers, has them do what kind says, prints their pids and waits for its end.
func beHost(kind string) {
	pool, err := procpool.New(procpool.Config{Worker: procpool.Self(), MaxWorkers: 2})
	if err != nil {
		panic(err)
	}
	h := held{Gate: os.Getenv(gateVar), Deaf: true}
	fn := hold
	switch kind {
	case "spinning":
		fn = spin
	case "deserting":
		fn = desert
	}
	var calls []*futures.Future[int]
	for range 2 {
		calls = append(calls, futures.Submit(context.Background(), pool, fn, h))
	}
	if kind == "idle" {
		for _, c := range calls {
			if _, err := c.Result(context.Background()); err != nil {
				panic(err)
			}
		}
	}
	fmt.Println("ready")
	select {}
}

// G7: when the host is killed, its workers are gone within a second, whatever they do.
func TestWorkersDoNotOutliveTheirHost(t *testing.T) {
	for _, kind := range []string{"idle", "busy", "spinning", "frozen", "deserting"} {
		t.Run(kind, func(t *testing.T) {
			clean(t)
			g := newGate(t)
			self, err := os.Executable()
			require.NoError(t, err)
			host := exec.Command(self)
			host.Env = append(os.Environ(), hostVar+"="+kind, gateVar+"="+g.path)
			host.Stderr = os.Stderr
			out, err := host.StdoutPipe()
			require.NoError(t, err)
			require.NoError(t, host.Start())
			killed := false
			t.Cleanup(func() {
				if !killed {
					assert.NoError(t, host.Process.Kill())
					_ = host.Wait() // it was killed, which is an error
				}
			})
			pids := []int{g.pid(), g.pid()}
			if kind == "idle" {
				g.open(2)
			}
			line, err := bufio.NewReader(out).ReadString('\n')
			require.NoError(t, err)
			require.Equal(t, "ready", strings.TrimSpace(line))
			var fds []int
			for _, pid := range pids {
				fd, err := unix.PidfdOpen(pid, 0)
				require.NoError(t, err)
				t.Cleanup(func() { assert.NoError(t, unix.Close(fd)) })
				fds = append(fds, fd)
				if kind == "frozen" || kind == "deserting" {
					require.NoError(t, unix.Kill(pid, unix.SIGSTOP))
				}
				stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
				require.NoError(t, err)
				assert.Contains(t, string(stat), " "+strconv.Itoa(host.Process.Pid)+" ", "it is no child of the host")
			}
			require.NoError(t, host.Process.Kill())
			killed = true
			began := time.Now()
			for n, fd := range fds {
				assert.True(t, remains.AwaitEndOf(t, fd, time.Until(began.Add(time.Second))), "worker %d outlives its host", pids[n])
			}
			_ = host.Wait() // it was killed, which is an error
		})
	}
}
