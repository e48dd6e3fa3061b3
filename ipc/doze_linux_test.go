package ipc_test

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed7d1be1d5/concurrent/ipc"
)

// A host that dozes is woken by each response, and told nothing through the pipe.
func TestAHostThatDozesIsWokenOnce(t *testing.T) {
	const rounds = 20_000
	worker, host := sides(t, shared(4096))
	var heard atomic.Int64
	over := make(chan struct{})
	go func() { // ends with rounds
		defer close(over)
		for n := int64(1); n <= rounds; n++ {
			assert.True(t, worker.Put(ipc.Entry{ID: uint64(n), Result: []byte{1}}))
			assert.False(t, worker.Tell(), "it dozes, or is awake, and never sleeps")
			for heard.Load() < n {
				worker.Tell() // it may have begun to doze after it was told
			}
		}
	}()
	for heard.Load() < rounds {
		host.Doze(time.Minute)
		entries, err := host.Take(nil)
		require.NoError(t, err)
		if len(entries) > 0 {
			heard.Add(1)
		}
	}
	<-over
}

// Nothing that is in the ring already is waited for, a doze ends by itself, and a host that is awake is not disturbed.
func TestADozeIsBounded(t *testing.T) {
	mem := shared(4096)
	worker, host := sides(t, mem)
	assert.False(t, host.Doze(time.Millisecond))
	assert.Zero(t, mem[128], "it is awake again")
	require.True(t, worker.Put(ipc.Entry{ID: 1, Result: []byte{1}}))
	worker.Wake()
	assert.True(t, host.Doze(time.Hour))
	_, err := host.Take(nil)
	require.NoError(t, err)
	woken := make(chan bool)
	go func() { woken <- host.Doze(time.Hour) }()
	for awake := true; awake; { // it is there when the word says so
		worker.Wake()
		select {
		case got := <-woken:
			assert.False(t, got, "word of something in the pipe wakes it as well")
			awake = false
		default:
		}
	}
}
