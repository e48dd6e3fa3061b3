package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/seed7d1be1d5/concurrent/futures"
	"github.com/seed7d1be1d5/concurrent/integration/soak/task"
	"github.com/seed7d1be1d5/concurrent/pooltest"
	"github.com/seed7d1be1d5/concurrent/procpool"
)

// patience bounds every wait. What takes longer hangs.
const patience = 2 * time.Minute

// ahead is how many calls are submitted ahead of the oldest that is not settled.
const ahead = 256

// play plays a spell and enters it in the account.
func (a *account) play(s spell, worker string) error {
	marks, err := os.CreateTemp("", "soak-marks-")
	if err != nil {
		return err
	}
	if err := marks.Close(); err != nil {
		return err
	}
	defer func() { _ = os.Remove(marks.Name()) }() // nobody misses it
	config := procpool.Config{
		Worker: procpool.Command(worker), MaxWorkers: s.workers, MaxTasksPerChild: s.maxTasks, OnCrash: procpool.ReplaceWorker,
		MaxCrashes: math.MaxInt, KillGrace: overdue,
	}
	if s.slow {
		config.Env = pooltest.Wiretap{Pause: 200 * time.Microsecond}.Env(os.Environ())
	}
	pool, err := procpool.New(config)
	if err != nil {
		return err
	}
	// A pool that has never had a worker breaks if its first one dies; and this call has no number.
	_, err = futures.Submit(context.Background(), pool, task.Run, task.Order{Marks: os.DevNull}).Result(context.Background())
	if err != nil {
		return err
	}
	k := &killer{pool: pool, dead: map[int]string{}, todo: slices.SortedFunc(slices.Values(s.kills), func(a, b kill) int { return cmp.Compare(a.after, b.after) })}
	calls := make([]*futures.Future[[]byte], s.calls)
	load := make([]byte, s.load)
	for n := range s.calls + ahead {
		if n < s.calls {
			var opts []futures.CallOption
			if s.timeout > 0 {
				opts = append(opts, futures.Timeout(s.timeout))
			}
			if s.retries > 0 {
				opts = append(opts, futures.Retries(s.retries))
			}
			calls[n] = futures.Submit(context.Background(), pool, task.Run, task.Order{N: n, Marks: marks.Name(), Fault: s.faults[n], Load: load}, opts...)
			if s.cancel > 0 && n%s.cancel == 0 {
				calls[n].Cancel()
			}
		}
		if old := n - min(ahead, s.calls/2); old >= 0 && old < s.calls {
			k.settled(old)
			select {
			case <-calls[old].Done():
			case <-time.After(patience):
				a.trouble("spell %v: call %d hangs: %+v", s, old, pool.Stats())
				a.hung++
				pool.KillWorkers()
			}
		}
	}
	k.wait()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := pool.Shutdown(ctx); err != nil {
		a.trouble("spell %v: the pool does not come to its end: %+v", s, pool.Stats())
		a.hung++
	}
	starts, err := task.Starts(marks.Name(), s.calls)
	if err != nil {
		return err
	}
	a.kills += len(k.dead)
	a.judge(s, calls, starts, k.dead, load)
	return nil
}

// judge holds what is said of each call against its marks.
func (a *account) judge(s spell, calls []*futures.Future[[]byte], starts []int, dead map[int]string, load []byte) {
	cost := map[int]int{}
	for n, f := range calls {
		a.calls++
		got, err := f.Result(context.Background())
		if starts[n] > 1+s.retries {
			a.twice++
			a.trouble("spell %v: call %d started %d times: %v", s, n, starts[n], err)
		}
		var crash *procpool.WorkerCrashError
		switch {
		case err == nil:
			a.done++
			if starts[n] < 1 || !bytes.Equal(got, load) || lethal(s.faults[n]) {
				a.lost++
				a.trouble("spell %v: call %d has a result that it cannot have; it started %d times", s, n, starts[n])
			}
		case errors.Is(err, futures.ErrCancelled):
			a.cancelled++
			if starts[n] != 0 {
				a.trouble("spell %v: call %d was cancelled and has run", s, n)
			}
		case errors.Is(err, futures.ErrTimeout):
			a.failed["timeout"]++
			if s.timeout == 0 {
				a.trouble("spell %v: call %d: %v", s, n, err)
			}
		case errors.As(err, &crash) && crash.Func == task.Run.Name() && crash.Attempt == 1+s.retries:
			how := cmp.Or(dead[crash.PID], s.faults[n].String())
			a.failed[how]++
			if lethal(s.faults[n]) && dead[crash.PID] == "" {
				a.kills++
			}
			if cost[crash.PID]++; cost[crash.PID] > 1 || dead[crash.PID] == "" && !lethal(s.faults[n]) {
				a.trouble("spell %v: call %d fell to nobody's kill, or with another one: %v", s, n, err)
			}
		default:
			a.lost++
			a.trouble("spell %v: call %d: %v", s, n, err)
		}
	}
}

// lethal faults leave no call with a result.
func lethal(f pooltest.Fault) bool { return slices.Contains(suicides, f) }

// A killer kills workers when its time has come.
type killer struct {
	pool   *procpool.ProcessPoolExecutor
	todo   []kill
	mu     sync.Mutex
	dead   map[int]string // pids, and of which signal
	frozen sync.WaitGroup
}

// settled says that so many calls are.
func (k *killer) settled(n int) {
	for len(k.todo) > 0 && k.todo[0].after <= n {
		k.strike(k.todo[0])
		k.todo = k.todo[1:]
	}
}

func (k *killer) strike(one kill) {
	pids := k.pool.Stats().PIDs
	if len(pids) == 0 {
		return
	}
	pid := pids[one.victim%len(pids)]
	if syscall.Kill(pid, one.signal) != nil {
		return // it has gone
	}
	k.mu.Lock()
	if k.dead[pid] == "" {
		k.dead[pid] = fmt.Sprint(one.signal)
	}
	k.mu.Unlock()
	if one.signal != syscall.SIGSTOP { // let it be replaced, or the next one strikes the dead; calls go on meanwhile
		for began := time.Now(); time.Since(began) < 100*time.Millisecond && slices.Contains(k.pool.Stats().PIDs, pid); {
			time.Sleep(time.Millisecond)
		}
		return
	}
	k.frozen.Go(func() { // ends with the spell
		time.Sleep(20 * time.Millisecond) // in which it is neither dead nor alive
		if slices.Contains(k.pool.Stats().PIDs, pid) {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	})
}

func (k *killer) wait() { k.frozen.Wait() }
