package main

import (
	"context"
	"time"

	"github.com/seed7d1be1d5/concurrent/bench/tasks"
	"github.com/seed7d1be1d5/concurrent/futures"
	"github.com/seed7d1be1d5/concurrent/procpool"
)

// submitAll submits no-op calls one by one, as many as there is room for, and then awaits them in order.
func submitAll(ctx context.Context, ex futures.Executor, calls []*futures.Future[int]) error {
	for i := range calls {
		calls[i] = futures.Submit(ctx, ex, tasks.Noop, i)
	}
	for _, call := range calls {
		if _, err := call.Result(ctx); err != nil {
			return err
		}
	}
	return nil
}

// measureSubmit is about many calls that are submitted one by one.
func measureSubmit(ctx context.Context, b *Bench) ([]Row, error) {
	pool, err := startPool(ctx, b.children, procpool.Config{MaxWorkers: workers})
	if err != nil {
		return nil, err
	}
	defer pool.Close()
	plugin, err := startNetrpcPeer(ctx, b.children)
	if err != nil {
		return nil, err
	}
	defer plugin.close()

	n := b.count(1_000_000)
	subjects := []Subject{
		{"this project", func(context.Context) (float64, error) {
			calls := make([]*futures.Future[int], n)
			begin := time.Now()
			err := submitAll(unwatched, pool, calls)
			return rate(n, begin), err
		}},
		{"this project, a ctx watched", func(ctx context.Context) (float64, error) {
			calls := make([]*futures.Future[int], n)
			begin := time.Now()
			err := submitAll(ctx, pool, calls)
			return rate(n, begin), err
		}},
		{"go-plugin net/rpc, pipelined", func(context.Context) (float64, error) { return plugin.pipeline(b.count(200_000)) }},
		{"pond", func(context.Context) (float64, error) { return pondCalls(workers, n) }},
		{"ants", func(context.Context) (float64, error) { return antsCalls(workers, n) }},
	}
	if b.python != nil {
		subjects = append(subjects, Subject{cpythonSubmit, func(ctx context.Context) (float64, error) {
			figure, err := b.python.measure(ctx, "submit", b.count(10_000))
			return figure.Rate, err
		}})
	}
	s, err := inTurn(ctx, b.rounds, subjects...)
	if err != nil {
		return nil, err
	}
	const name = "no-op calls submitted one by one"
	rows := []Row{
		alone(name, perSecond, s[0], Goal{must: 800_000}),
		within(name+", a ctx watched", perSecond, s[1], "without", s[0], Goal{}),
	}
	for i, goal := range []Goal{{must: 15}, {aim: 1}, {}, {must: 100}} {
		if i+2 == len(s) {
			return append(rows, absent(name, cpythonSubmit, noPython)), nil
		}
		rows = append(rows, versus(name, perSecond, s[0], subjects[i+2].name, s[i+2], goal))
	}
	return rows, nil
}
