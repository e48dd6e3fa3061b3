package worker

import (
	"os"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// What arrives while nobody waits, what arrives while somebody does, and the end: each ends a wait, and the next one waits again.
func TestReadinessEndsWithTheNextRequest(t *testing.T) {
	read, write, err := os.Pipe()
	require.NoError(t, err)
	defer read.Close()
	read.Fd() // makes it block, as those are that a worker inherits
	r := newReadiness(read)
	require.NotNil(t, r)
	defer r.file.Close()
	one := make([]byte, 1)

	_, err = write.Write(one)
	require.NoError(t, err)
	r.await()
	_, err = read.Read(one)
	require.NoError(t, err)

	for range 100 {
		over := make(chan struct{})
		go func() {
			defer close(over)
			r.await()
		}()
		for !parked("readiness).await") {
			runtime.Gosched()
		}
		select {
		case <-over:
			t.Fatal("it did not wait")
		default:
		}
		_, err = write.Write(one)
		require.NoError(t, err)
		<-over
		_, err = read.Read(one)
		require.NoError(t, err)
	}

	require.NoError(t, write.Close())
	r.await()
}

// parked reports whether a goroutine in the function waits for the runtime's poller, and so is not in a system call.
func parked(function string) bool {
	stacks := make([]byte, 1<<20)
	for stack := range strings.SplitSeq(string(stacks[:runtime.Stack(stacks, true)]), "\n\n") {
		if strings.Contains(stack, function) {
			return strings.Contains(stack[:strings.IndexByte(stack, '\n')], "[IO wait")
		}
	}
	return false
}
