package worker

import (
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestAHandleLivesAsLongAsSomebodyHasIt(t *testing.T) {
	const first = 1 << 40 // which no other test uses
	kept := handle(first)
	for id := range int64(1000) {
		handle(first + 1 + id)
	}
	count := func() (n int) {
		handles.Lock()
		defer handles.Unlock()
		for id := range handles.byID {
			if id >= first {
				n++
			}
		}
		return n
	}
	require.Eventually(t, func() bool { runtime.GC(); return count() == 1 }, 30*time.Second, time.Millisecond)
	assert.Same(t, kept, handle(first))
	runtime.KeepAlive(kept)
}
