//go:build linux

package faults_test

import (
	"context"
	"os"
	"os/exec"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/seed7d1be1d5/concurrent/futures"
	"github.com/seed7d1be1d5/concurrent/integration/internal/remains"
	"github.com/seed7d1be1d5/concurrent/pooltest"
	"github.com/seed7d1be1d5/concurrent/procpool"
)

// hostVar makes this program a host that is there to be killed: it holds the address of a gate.
const hostVar = "FAULTS_TEST_HOST"

// beHost has two workers stand at the gate, and waits for its end.
func beHost(gate string) {
	pool, err := procpool.New(procpool.Config{Worker: procpool.Command(workerProgram()), MaxWorkers: 2})
	if err != nil {
		panic(err)
	}
	for range 2 {
		futures.Submit(context.Background(), pool, pooltest.Carry, pooltest.Errand{Faults: []pooltest.Fault{pooltest.Wait(gate)}})
	}
	for {
		time.Sleep(time.Hour)
	}
}

// hostDying strikes a worker, and kills its host when that is done. A host that would end the worker first is stopped before.
func (s *scene) hostDying() {
	self, err := os.Executable()
	require.NoError(s.t, err)
	host := exec.Command(self)
	host.Env = append(os.Environ(), hostVar+"="+s.gate.Addr())
	host.Stderr = os.Stderr
	require.NoError(s.t, host.Start())
	s.t.Cleanup(func() {
		_ = host.Process.Kill() // it should be dead
		_ = host.Wait()         // of which it was killed
	})
	v, other := s.meet(s.gate), s.meet(s.gate)
	does := s.fault.does
	if s.fault.nature == dies { // the grandchild alone
		does = does[:1]
	}
	stop := func() {
		require.NoError(s.t, host.Process.Signal(unix.SIGSTOP))
		remains.AwaitStop(s.t, host.Process.Pid)
	}
	if s.fault.nature == breaches { // or else the host would end the worker
		stop()
	}
	require.NoError(s.t, v.Befall(does...))
	switch s.fault.nature {
	case stalls:
		remains.Until(s.t, "the process is stopped", func() bool { return remains.Stopped(v.PID) })
	case breaches: // it waits for a host that does not hear it
	default:
		require.NoError(s.t, v.Gone(s.ctx))
	}
	if s.recycle {
		stop()
	}
	pids := append(remains.Children(s.t, v.PID), v.PID, other.PID)
	require.NoError(s.t, host.Process.Kill())
	for _, pid := range pids {
		assert.True(s.t, remains.AwaitEnd(s.t, pid, 5*time.Second), "%d outlives its host", pid)
	}
}
