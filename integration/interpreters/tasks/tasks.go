// Package tasks is what host and guest of the tests share.
package tasks

import (
	"context"
	"errors"
	"slices"

	"github.com/seed7d1be1d5/concurrent/futures"
	"github.com/seed7d1be1d5/concurrent/worker"
)

// All is what the guest offers.
var All = []futures.Callable{Add, Echo, IsPrime, SortInts, Count, Self, Fail, Panic, Var}

// A Pair is what Add adds.
type Pair struct{ A, B int }

var Add = futures.NewFunc("tasks.Add", func(_ context.Context, p Pair) (int, error) { return p.A + p.B, nil })

var Echo = futures.NewFunc("tasks.Echo", func(_ context.Context, b []byte) ([]byte, error) { return b, nil })

var IsPrime = futures.NewFunc("tasks.IsPrime", func(_ context.Context, n uint64) (bool, error) {
	for i := uint64(3); i*i <= n; i += 2 {
		if n%i == 0 {
			return false, nil
		}
	}
	return n == 2 || n > 2 && n%2 == 1, nil
})

// SortInts sorts n numbers that look random, and returns the one in the middle.
var SortInts = futures.NewFunc("tasks.SortInts", func(_ context.Context, n int) (int, error) {
	v := make([]int, n)
	x := uint64(88172645463325252)
	for i := range v {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
		v[i] = int(x >> 1)
	}
	slices.Sort(v)
	return v[n/2], nil
})

var counter int

// Count says how often it was called.
var Count = futures.NewFunc("tasks.Count", func(context.Context, struct{}) (int, error) {
	counter++
	return counter, nil
})

var Self = futures.NewFunc("tasks.Self", func(context.Context, struct{}) (int64, error) { return worker.Self(), nil })

// ErrKnown is registered on both sides.
var ErrKnown = errors.New("tasks: known to both sides")

func init() { worker.RegisterError("tasks.ErrKnown", ErrKnown) }

var Fail = futures.NewFunc("tasks.Fail", func(context.Context, struct{}) (struct{}, error) { return struct{}{}, ErrKnown })

var Panic = futures.NewFunc("tasks.Panic", func(_ context.Context, text string) (struct{}, error) { panic(text) })

// Var is what a name is bound to, as an int.
var Var = futures.NewFunc("tasks.Var", func(_ context.Context, name string) (int, error) { return worker.Var[int](name) })

var globals = map[string]int{}

func init() { All = append(All, SetGlobal, Global, Undecodable, Unencodable, Change) }

var SetGlobal = futures.NewFunc("tasks.SetGlobal", func(_ context.Context, name string) (int, error) {
	globals[name]++
	return globals[name], nil
})

var Global = futures.NewFunc("tasks.Global", func(_ context.Context, name string) (int, error) { return globals[name], nil })

// A Stubborn can be encoded, and not decoded.
type Stubborn struct{ N int }

func (Stubborn) MarshalText() ([]byte, error)  { return []byte("x"), nil }
func (*Stubborn) UnmarshalText(b []byte) error { return errors.New("stubborn") }

var Undecodable = futures.NewFunc("tasks.Undecodable", func(context.Context, Stubborn) (int, error) { return 0, nil })

var Unencodable = futures.NewFunc("tasks.Unencodable", func(context.Context, int) (any, error) { return func() {}, nil })

// Change changes its argument.
var Change = futures.NewFunc("tasks.Change", func(_ context.Context, m map[string][]int) (map[string][]int, error) {
	m["a"][0] = -1
	m["b"] = nil
	return m, nil
})
