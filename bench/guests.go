package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/seed7d1be1d5/concurrent/bench/tasks"
	"github.com/seed7d1be1d5/concurrent/futures"
	"github.com/seed7d1be1d5/concurrent/interpreters"
	"github.com/seed7d1be1d5/concurrent/procpool"
	"github.com/seed7d1be1d5/concurrent/worker"
)

// measureGuests is about interpreters: the worker of the benchmarks, built as a guest.
func measureGuests(ctx context.Context, b *Bench) ([]Row, error) {
	g := guests{rounds: b.rounds, folder: filepath.Join(b.children.dir, "code")}
	var err error
	if g.wasm, err = buildGuest(ctx, b.children.dir); err != nil {
		return nil, err
	}
	if g.image, err = g.load(ctx); err != nil { // which fills the folder
		return nil, err
	}
	defer g.image.Close()
	var rows []Row
	for _, measure := range []func(context.Context, *Bench) ([]Row, error){g.loads, g.creations, g.calls, g.computing, g.together, g.gaps, g.stops, g.items} {
		more, err := measure(ctx, b)
		if err != nil {
			return nil, err
		}
		rows = append(rows, more...)
	}
	return rows, nil
}

type guests struct {
	rounds int
	folder string // of compiled code
	wasm   []byte
	image  *interpreters.Image
}

func buildGuest(ctx context.Context, dir string) ([]byte, error) {
	gotool := os.Getenv("GO")
	if gotool == "" {
		gotool = "go"
	}
	out := filepath.Join(dir, "worker.wasm")
	build := exec.CommandContext(ctx, gotool, "build", "-o", out, "./worker")
	build.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm")
	if text, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("bench: %v: %w\n%s", build, err, text)
	}
	return os.ReadFile(out)
}

func (g *guests) load(ctx context.Context) (*interpreters.Image, error) {
	return interpreters.Load(ctx, g.wasm, interpreters.ImageConfig{CacheDir: g.folder})
}

func (g *guests) create(ctx context.Context) (*interpreters.Interpreter, error) {
	return interpreters.Create(ctx, g.image, interpreters.Config{Grace: guestGrace})
}

const guestGrace = 50 * time.Millisecond

// loads is about a program that is not the first to load this guest.
func (g *guests) loads(ctx context.Context, _ *Bench) ([]Row, error) {
	if err := g.image.Close(); err != nil { // a module that is loaded is not loaded again
		return nil, err
	}
	s, err := inTurn(ctx, g.rounds, Subject{"load", func(ctx context.Context) (float64, error) {
		begin := time.Now()
		image, err := g.load(ctx)
		took := time.Since(begin)
		if err != nil {
			return 0, err
		}
		return took.Seconds(), image.Close()
	}})
	if err != nil {
		return nil, err
	}
	if g.image, err = g.load(ctx); err != nil {
		return nil, err
	}
	return []Row{alone("load a guest whose code is in the folder", seconds, s[0], Goal{must: 150e-3, aim: 50e-3})}, nil
}

// creations is about many interpreters at once.
func (g *guests) creations(ctx context.Context, b *Bench) ([]Row, error) {
	n := b.count(100)
	var took, memory Sample
	for range g.rounds {
		ips := make([]*interpreters.Interpreter, 0, n)
		each := make(Sample, 0, n)
		debug.FreeOSMemory() // which would be used again
		before, err := residentMemory()
		for range n {
			begin := time.Now()
			ip, createErr := g.create(ctx)
			if createErr != nil {
				err = errors.Join(err, createErr)
				break
			}
			each = append(each, time.Since(begin).Seconds())
			ips = append(ips, ip)
		}
		after, afterErr := residentMemory()
		err = errors.Join(err, afterErr)
		for _, ip := range ips {
			err = errors.Join(err, ip.Close())
		}
		if err != nil {
			return nil, err
		}
		took, memory = append(took, each.median()), append(memory, (after-before)/float64(n))
	}
	return []Row{
		alone("create an interpreter", seconds, took, Goal{must: 5e-3, aim: 3e-3}),
		alone("resident memory of an interpreter", size, memory, Goal{must: 6 << 20, aim: 4 << 20}),
	}, nil
}

// calls is about one call at a time, beside a worker process.
func (g *guests) calls(ctx context.Context, b *Bench) ([]Row, error) {
	ip, err := g.create(ctx)
	if err != nil {
		return nil, err
	}
	defer ip.Close()
	pool, err := startPool(ctx, b.children, procpool.Config{MaxWorkers: 1})
	if err != nil {
		return nil, err
	}
	defer pool.Close()
	n := b.count(20_000)
	timed := func(call func() error) func(context.Context) (float64, error) {
		return func(context.Context) (float64, error) {
			each := make(Sample, n)
			for i := range each {
				begin := time.Now()
				if err := call(); err != nil {
					return 0, err
				}
				each[i] = time.Since(begin).Seconds()
			}
			return each.median(), nil
		}
	}
	s, err := inTurn(ctx, g.rounds,
		Subject{"interpreter", timed(func() error {
			_, err := interpreters.Call(unwatched, ip, tasks.Add, tasks.Pair{A: 1, B: 2})
			return err
		})},
		Subject{"worker process", timed(func() error {
			_, err := futures.Submit(unwatched, pool, tasks.Add, tasks.Pair{A: 1, B: 2}).Result(unwatched)
			return err
		})})
	if err != nil {
		return nil, err
	}
	const name = "call of an interpreter, two numbers there and one back, p50"
	return []Row{
		alone(name, seconds, s[0], Goal{must: 8e-6, aim: 5e-6}),
		within(name, seconds, s[0], "a worker process", s[1], Goal{must: 1}),
	}, nil
}

// computing is about what a guest's code is worth.
func (g *guests) computing(ctx context.Context, _ *Bench) ([]Row, error) {
	ip, err := g.create(ctx)
	if err != nil {
		return nil, err
	}
	defer ip.Close()
	const prime, many = 112272535095293, 200_000
	s, err := inTurn(ctx, g.rounds,
		Subject{"", took(func() error { _, err := interpreters.Call(unwatched, ip, tasks.IsPrime, prime); return err })},
		Subject{"", took(func() error { _, err := tasks.IsPrime.Call(unwatched, prime); return err })},
		Subject{"", took(func() error { _, err := interpreters.Call(unwatched, ip, tasks.SortInts, many); return err })},
		Subject{"", took(func() error { _, err := tasks.SortInts.Call(unwatched, many); return err })})
	if err != nil {
		return nil, err
	}
	return []Row{
		within("a prime by trial division, in an interpreter", seconds, s[0], "as a Go program", s[1], Goal{must: 2.7, aim: 1.5}),
		within("sort 200,000 ints, in an interpreter", seconds, s[2], "as a Go program", s[3], Goal{must: 3.1, aim: 1.5}),
	}, nil
}

// took is the shortest time of some.
func took(do func() error) func(context.Context) (float64, error) {
	return func(context.Context) (float64, error) {
		best := time.Duration(1 << 62)
		for range 5 {
			begin := time.Now()
			if err := do(); err != nil {
				return 0, err
			}
			best = min(best, time.Since(begin))
		}
		return best.Seconds(), nil
	}
}

// together is about two interpreters that compute at the same time.
func (g *guests) together(ctx context.Context, b *Bench) ([]Row, error) {
	var ips [2]*interpreters.Interpreter
	for i := range ips {
		var err error
		if ips[i], err = g.create(ctx); err != nil {
			return nil, err
		}
		defer ips[i].Close()
	}
	turns, calls := turnsFor(10*time.Millisecond), b.count(50)
	spin := func(ips ...*interpreters.Interpreter) func(context.Context) (float64, error) {
		return func(context.Context) (float64, error) {
			begin := time.Now()
			var all errgroup.Group
			for _, ip := range ips {
				all.Go(func() error {
					for range calls {
						if _, err := interpreters.Call(unwatched, ip, tasks.Spin, turns); err != nil {
							return err
						}
					}
					return nil
				})
			}
			err := all.Wait()
			return rate(calls*len(ips), begin), err
		}
	}
	s, err := inTurn(ctx, g.rounds, Subject{"two", spin(ips[:]...)}, Subject{"one", spin(ips[0])})
	if err != nil {
		return nil, err
	}
	return []Row{within("calls of some 10 ms of work, two interpreters", perSecond, s[0], "one", s[1], Goal{must: 1.9, aim: 1.98})}, nil
}

// gaps is about what goroutines of this program notice of guests that compute.
func (g *guests) gaps(ctx context.Context, b *Bench) ([]Row, error) {
	var worst Sample
	for range g.rounds {
		busy, release := context.WithCancel(ctx)
		ended := make(chan error, 2)
		for range cap(ended) {
			ip, err := g.create(ctx)
			if err != nil {
				release()
				return nil, err
			}
			go func() {
				_, err := interpreters.Call(busy, ip, tasks.Endless, struct{}{})
				ended <- errors.Join(ip.Close(), onlyCancelled(err))
			}()
		}
		gap, last := time.Duration(0), time.Now()
		for until := last.Add(time.Duration(b.count(int(time.Second)))); last.Before(until); {
			time.Sleep(time.Millisecond)
			now := time.Now()
			gap, last = max(gap, now.Sub(last)), now
		}
		release()
		for range cap(ended) {
			if err := <-ended; err != nil {
				return nil, err
			}
		}
		worst = append(worst, gap.Seconds())
	}
	return []Row{alone("two guests in endless loops, the longest that a goroutine of the host waited for a tick of 1 ms", seconds, worst, Goal{must: 50e-3, aim: 25e-3})}, nil
}

// onlyCancelled is nil for what a guest dies of that does not listen.
func onlyCancelled(err error) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return nil
	}
	return fmt.Errorf("an endless loop ended: %w", err)
}

// stops is about how soon after deadline and grace an endless loop is over.
func (g *guests) stops(ctx context.Context, _ *Bench) ([]Row, error) {
	const patience = 20 * time.Millisecond
	s, err := inTurn(ctx, g.rounds, Subject{"", func(ctx context.Context) (float64, error) {
		late := make(Sample, 5)
		for i := range late {
			ip, err := g.create(ctx)
			if err != nil {
				return 0, err
			}
			short, cancel := context.WithTimeout(ctx, patience)
			deadline, _ := short.Deadline()
			_, err = interpreters.Call(short, ip, tasks.Endless, struct{}{})
			late[i] = time.Since(deadline.Add(guestGrace)).Seconds()
			cancel()
			if err := errors.Join(ip.Close(), onlyCancelled(err)); err != nil {
				return 0, err
			}
		}
		return late.median(), nil
	}})
	if err != nil {
		return nil, err
	}
	return []Row{alone("an endless loop is over, after deadline and grace", seconds, s[0], Goal{must: 5e-3, aim: 1e-3})}, nil
}

// items is about an item that goes to a guest through one queue and comes back through another.
func (g *guests) items(ctx context.Context, b *Bench) ([]Row, error) {
	ip, err := g.create(ctx)
	if err != nil {
		return nil, err
	}
	there, back := interpreters.CreateQueue(0), interpreters.CreateQueue(0)
	relaying, release := context.WithCancel(ctx)
	over := make(chan error, 1)
	go func() {
		_, err := interpreters.Call(relaying, ip, tasks.Relay, tasks.Pipes{From: worker.QueueOf(there), To: worker.QueueOf(back)})
		over <- err
	}()
	n := b.count(5_000)
	s, err := inTurn(ctx, g.rounds, Subject{"", func(context.Context) (float64, error) {
		each := make(Sample, n)
		for i := range each {
			begin := time.Now()
			if err := there.Put(unwatched, i); err != nil {
				return 0, err
			}
			if _, err := interpreters.GetAs[int](ctx, back); err != nil {
				return 0, err
			}
			each[i] = time.Since(begin).Seconds()
		}
		return each.median(), nil
	}})
	release()
	err = errors.Join(err, onlyCancelled(<-over), ip.Close(), there.Close(), back.Close())
	if err != nil {
		return nil, err
	}
	return []Row{alone("an item through a queue to an interpreter and back through another, p50", seconds, s[0], Goal{must: 45e-6, aim: 15e-6})}, nil
}
