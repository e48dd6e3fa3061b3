package interpreters_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed7d1be1d5/concurrent/futures"
	"github.com/seed7d1be1d5/concurrent/integration/interpreters/tasks"
	"github.com/seed7d1be1d5/concurrent/interpreters"
)

// Everybody does everything to a few interpreters at once. Each outcome must be one that can be.
func TestHammer(t *testing.T) {
	before := interpreters.ListAll()
	killed := errors.New("killed by the hammer")
	q, h := queue(t, 4)
	var slots [3]struct {
		sync.Mutex
		ip *interpreters.Interpreter
	}
	get := func(i int) *interpreters.Interpreter {
		s := &slots[i]
		s.Lock()
		defer s.Unlock()
		if s.ip == nil {
			ip, err := interpreters.Create(context.Background(), image, interpreters.Config{MemoryLimit: 32 << 20, Grace: time.Millisecond})
			if !assert.NoError(t, err) {
				return interpreters.GetMain()
			}
			s.ip = ip
		}
		return s.ip
	}
	forget := func(i int, ip *interpreters.Interpreter) {
		s := &slots[i]
		s.Lock()
		defer s.Unlock()
		if s.ip == ip {
			s.ip = nil
		}
	}
	plausible := func(err error) bool {
		var died *interpreters.Died
		var failed *interpreters.ExecutionFailed
		return err == nil || errors.Is(err, interpreters.ErrRunning) || errors.Is(err, interpreters.ErrNotFound) || errors.As(err, &died) || errors.As(err, &failed) ||
			errors.Is(err, context.DeadlineExceeded)
	}
	var all sync.WaitGroup
	for worker := range 6 {
		random := rand.New(rand.NewPCG(uint64(worker), 7))
		all.Go(func() {
			for range 60 {
				i := random.IntN(len(slots))
				ip := get(i)
				ctx, cancel := context.WithTimeout(context.Background(), time.Duration(random.IntN(3000))*time.Microsecond)
				var err error
				switch random.IntN(12) {
				case 0:
					err = ip.Close()
					forget(i, ip)
				case 1:
					ip.Kill(killed)
					forget(i, ip)
				case 2:
					_, err = interpreters.Call(ctx, ip, tasks.Spin, struct{}{})
				case 3:
					_, err = interpreters.Call(ctx, ip, tasks.Exit, 1)
				case 4:
					_, err = interpreters.Call(ctx, ip, tasks.Listen, struct{}{})
				case 5:
					err = ip.PrepareMain(ctx, map[string]any{"q": q})
				case 6:
					_, err = interpreters.Call(ctx, ip, tasks.Put, tasks.Putting{Q: h, Values: []any{1, 2}})
				case 7:
					_, err = interpreters.Call(ctx, ip, tasks.Get, tasks.Getting{Q: h, N: 1})
				case 8:
					_, err = interpreters.Call(ctx, ip, tasks.Goexit, struct{}{})
				default:
					_, err = interpreters.Call(ctx, ip, tasks.Add, tasks.Pair{A: 1, B: 2})
				}
				cancel()
				assert.True(t, plausible(err), "%v", err)
				var died *interpreters.Died
				if errors.As(err, &died) {
					forget(i, ip)
				}
			}
		})
	}
	all.Wait()
	for _, ip := range interpreters.ListAll()[len(before):] {
		require.NoError(t, ip.Close())
	}
	assert.Equal(t, before, interpreters.ListAll())
}

// The pool settles each call once, whatever its interpreters die of.
func TestHammerOfAPool(t *testing.T) {
	before := interpreters.ListAll()
	pool, err := interpreters.NewPool(interpreters.PoolConfig{Image: image, MaxWorkers: 3, MaxTasksPerInterpreter: 5, Interpreter: interpreters.Config{Grace: time.Millisecond}})
	require.NoError(t, err)
	var all sync.WaitGroup
	for submitter := range 4 {
		random := rand.New(rand.NewPCG(uint64(submitter), 9))
		all.Go(func() {
			for range 40 {
				ctx, cancel := context.WithTimeout(context.Background(), time.Duration(1+random.IntN(20))*time.Millisecond)
				var f interface{ Err(context.Context) error }
				switch random.IntN(6) {
				case 0:
					f = futures.Submit(ctx, pool, tasks.Exit, 1)
				case 1:
					f = futures.Submit(ctx, pool, tasks.Spin, struct{}{})
				case 2:
					f = futures.Submit(ctx, pool, tasks.Fail, struct{}{})
				default:
					f = futures.Submit(ctx, pool, tasks.Add, tasks.Pair{A: 1, B: 2})
				}
				if random.IntN(8) == 0 {
					cancel()
				}
				err := f.Err(within(t))
				assert.NotErrorIs(t, err, futures.ErrBrokenExecutor)
				cancel()
			}
		})
	}
	all.Wait()
	require.NoError(t, pool.Close())
	assert.Equal(t, before, interpreters.ListAll())
}
