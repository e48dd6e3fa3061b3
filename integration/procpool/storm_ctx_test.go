//go:build linux

package procpool_test

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/seed7d1be1d5/concurrent/futures"
	"github.com/seed7d1be1d5/concurrent/procpool"
)

// A ctx that is done in the middle of a storm cancels what has not started. What has started goes on to its end, since it does not
// listen and is over in no time.
func TestStormAndCtx(t *testing.T) {
	const rounds = 24
	each := volume(40_000)
	for _, r := range roads {
		t.Run(r.name, func(t *testing.T) {
			clean(t)
			s := newStorm(t, rounds*each, procpool.Config{MaxWorkers: 2, OnCrash: procpool.ReplaceWorker})
			random := dice(t, 13)
			counts := make(map[string]int)
			reason := errors.New("the user went home")
			for round := range rounds {
				ctx, cancel := context.WithCancelCause(context.Background())
				from := round * each
				after := random.IntN(each / 8)
				for r := range r.take(s, ctx, tallies[round%len(tallies)], from, from+each, nil) {
					s.note(r)
					switch after--; {
					case after == 0 && round%2 == 0: // beside this loop
						go cancel(reason)
						if round%4 == 0 {
							s.killer.kill()
						}
					case after == 0:
						cancel(reason)
					}
				}
				cancel(reason)
				taken, word := 0, false
				for n := from; n < from+each; n++ {
					taken += int(s.said[n])
					word = word || errors.Is(s.replies[n].err, reason)
				}
				assert.True(t, taken == each || word, "a Map was cut short without a word")
			}
			s.settle()
			victims, lost := s.victims(), 0
			for n, r := range s.replies {
				m := &s.board.calls[n]
				begun := m.begun.Load()
				if begun > 1 || s.said[n] > 1 {
					assert.Failf(t, "a call had more than it should", "call %d: %d replies, begun %d times: %+v", n, s.said[n], begun, r)
				}
				var crash *procpool.WorkerCrashError
				switch {
				case s.said[n] == 0:
					counts["not taken"]++
					if begun > 0 {
						assert.Failf(t, "a call that nobody asked for has run", "call %d", n)
					}
				case r.err == nil:
					counts["finished"]++
					if r.got != tallied(n) || m.ended.Load() != 1 {
						assert.Failf(t, "a wrong result", "call %d: %d", n, r.got)
					}
				case errors.Is(r.err, futures.ErrCancelled):
					counts["cancelled"]++
					if begun > 0 {
						assert.Failf(t, "a call was cancelled and has run", "call %d", n)
					}
				case errors.As(r.err, &crash):
					lost++
				default:
					assert.NoError(t, r.err, "call %d", n)
				}
			}
			assert.LessOrEqual(t, lost, len(victims))
			assert.Equal(t, len(victims), s.pool.Stats().Crashed)
			assert.Positive(t, counts["cancelled"], "nothing was cancelled: the test says nothing")
			t.Logf("%v, %d killed, %d lost", counts, len(victims), lost)
		})
	}
}
