package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"time"

	"github.com/seed7d1be1d5/concurrent/bench/tasks"
	"github.com/seed7d1be1d5/concurrent/futures"
	"github.com/seed7d1be1d5/concurrent/procpool"
)

// A caller makes calls one at a time.
type caller struct {
	name  string
	place func() (back func(), err error) // before and after some calls; nil if the system may place them where it likes
	call  func() error
}

// Names of callers, as in the table and the plot.
const (
	projectFree    = "this project"
	projectWatched = "this project, a ctx watched"
	projectOne     = "this project, on one core"
	pipeFree       = "bare pipe"
	pipeOne        = "bare pipe, on one core"
	pipeTwo        = "bare pipe, on two cores"
	netrpcCall     = "go-plugin net/rpc"
)

// measureCall is about one call at a time: what it takes from Submit to Result.
func measureCall(ctx context.Context, b *Bench) ([]Row, error) {
	pool, err := startPool(ctx, b.children, procpool.Config{MaxWorkers: workers})
	if err != nil {
		return nil, err
	}
	defer pool.Close()
	callUnder := func(ctx context.Context) func() error {
		return func() error {
			_, err := futures.Submit(ctx, pool, tasks.Noop, 1).Result(ctx)
			return err
		}
	}
	call := callUnder(unwatched)
	callers := []caller{{projectFree, nil, call}, {projectWatched, nil, callUnder(ctx)}}
	if all := cores(); len(all) > 0 {
		callers = append(callers, caller{projectOne, func() (func(), error) {
			pids := pool.Stats().PIDs
			return func() { _ = confine(all, pids...) }, confine(all[:1], pids...)
		}, call})
	}

	pipes, err := startPipeCallers(ctx, b.children)
	defer pipes.close()
	if err != nil {
		return nil, err
	}
	callers = append(callers, pipes.callers...)

	plugin, err := startNetrpcPeer(ctx, b.children)
	if err != nil {
		return nil, err
	}
	defer plugin.close()
	callers = append(callers, caller{netrpcCall, nil, plugin.call})

	var python [3]Sample // of CPython: p50, p90, p99
	took := make([]Latencies, len(callers))
	for i, c := range callers {
		took[i].Name = c.name
	}
	for range b.rounds {
		round, err := interleave(ctx, callers, callSlices, b.count(callsInSlice))
		if err != nil {
			return nil, err
		}
		for i := range took {
			took[i].rounds = append(took[i].rounds, round[i])
		}
		if b.python == nil {
			continue
		}
		figure, err := b.python.measure(ctx, "call", b.count(3000))
		if err != nil {
			return nil, err
		}
		for i, q := range []float64{figure.P50, figure.P90, figure.P99} {
			python[i] = append(python[i], q)
		}
	}
	b.latencies = took
	return callRows(took, python), nil
}

// A slice is short, so that everybody meets the machine in the same moods.
const (
	callSlices   = 20
	callsInSlice = 400
	warmUp       = 20 // calls before each slice
)

// interleave lets the callers make calls in turn, and returns how long each call took.
func interleave(ctx context.Context, callers []caller, slices, calls int) ([][]time.Duration, error) {
	took := make([][]time.Duration, len(callers))
	runtime.GC()
	// Nobody always follows the same one: it matters in what state it leaves the cores.
	order := rand.New(rand.NewPCG(1, 2))
	for range slices {
		for _, i := range order.Perm(len(callers)) {
			c := callers[i]
			if err := c.some(calls, &took[i]); err != nil {
				return nil, fmt.Errorf("%s: %w", c.name, err)
			}
			if ctx.Err() != nil {
				return nil, context.Cause(ctx)
			}
		}
	}
	return took, nil
}

func (c caller) some(calls int, took *[]time.Duration) error {
	if c.place != nil {
		back, err := c.place()
		if err != nil {
			return err
		}
		defer back()
	}
	for i := range warmUp + calls {
		begin := time.Now()
		if err := c.call(); err != nil {
			return err
		}
		if i >= warmUp {
			*took = append(*took, time.Since(begin))
		}
	}
	return nil
}

// pipeCallers are bare pipes, a child each, in different places.
type pipeCallers struct {
	callers []caller
	peers   []*pipePeer
}

func startPipeCallers(ctx context.Context, c Children) (*pipeCallers, error) {
	p := new(pipeCallers)
	err := p.start(ctx, c, pipeFree, nil, nil)
	if all := cores(); err == nil && len(all) > 0 {
		err = p.start(ctx, c, pipeOne, all[:1], all[:1])
		if err == nil && len(all) > 1 {
			err = p.start(ctx, c, pipeTwo, all[:1], all[1:2])
		}
	}
	return p, err
}

// start adds one, whose host's side runs on some cores and whose child's on others.
func (p *pipeCallers) start(ctx context.Context, c Children, name string, host, child []int) error {
	if child != nil {
		unpin, err := pinThread(child...)
		if err != nil {
			return err
		}
		defer unpin()
	}
	request, response := noopFrames()
	peer, err := startPipePeer(ctx, c, request, response, 0)
	if err != nil {
		return err
	}
	p.peers = append(p.peers, peer)
	place := func() (func(), error) {
		runtime.LockOSThread()
		return runtime.UnlockOSThread, nil
	}
	if host != nil {
		place = func() (func(), error) { return pinThread(host...) }
	}
	p.callers = append(p.callers, caller{name, place, peer.exchange})
	return nil
}

func (p *pipeCallers) close() {
	for _, peer := range p.peers {
		_ = peer.close() // what matters was said by exchange
	}
}

// callRows compares with the fastest bare pipe, whichever that is, and like with like.
func callRows(took []Latencies, python [3]Sample) []Row {
	const name = "no-op call, one at a time, "
	goal := Goal{must: 1.5, aim: 1.2}
	of := make(map[string]Latencies)
	for _, l := range took {
		of[l.Name] = l
	}
	project := of[projectFree]
	fastest := of[pipeFree]
	for _, other := range []string{pipeOne, pipeTwo} {
		if l, ok := of[other]; ok && l.quantile(0.5).median() < fastest.quantile(0.5).median() {
			fastest = l
		}
	}
	p50 := func(l Latencies) Sample { return l.quantile(0.5) }
	rows := []Row{versus(name+"p50", seconds, p50(project), fastest.Name, p50(fastest), goal)}
	if one, ok := of[projectOne]; ok {
		rows = append(rows, versus(name+"p50, all on one core", seconds, p50(one), pipeOne, p50(of[pipeOne]), goal))
	}
	rows = append(rows, versus(name+"p50, nothing pinned", seconds, p50(project), pipeFree, p50(of[pipeFree]), goal))
	if two, ok := of[pipeTwo]; ok {
		rows = append(rows, versus(name+"p50, pipe across cores", seconds, p50(project), pipeTwo, p50(two), Goal{}))
	}
	rows = append(rows, within(name+"p50, a ctx watched", seconds, p50(of[projectWatched]), "without", p50(project), Goal{}))
	for i, q := range []struct {
		name string
		q    float64
	}{{"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}} {
		if q.q > 0.5 {
			rows = append(rows, versus(name+q.name+", nothing pinned", seconds, project.quantile(q.q), pipeFree, of[pipeFree].quantile(q.q), Goal{}))
		}
		rows = append(rows, versus(name+q.name, seconds, project.quantile(q.q), netrpcCall, of[netrpcCall].quantile(q.q), Goal{}))
		if len(python[i]) > 0 {
			rows = append(rows, versus(name+q.name, seconds, project.quantile(q.q), cpythonSubmit, python[i], Goal{}))
		} else {
			rows = append(rows, absent(name+q.name, cpythonSubmit, noPython))
		}
	}
	return rows
}

const cpythonSubmit = "CPython submit"
