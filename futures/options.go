package futures

import (
	"fmt"
	"time"
)

// A CallOption changes one call, or with [Map] every call of it.
type CallOption interface {
	MapOption
	applyToCall(*callSettings)
}

// A MapOption changes a [Map] or [MapUnordered]. Every [CallOption] is one.
type MapOption interface{ applyToMap(*mapSettings) }

type callSettings struct {
	timeout time.Duration
	retries int
	err     error
}

type mapSettings struct {
	call       callSettings
	chunksize  int
	buffersize int
	ahead      bool // the user has chosen the buffersize
	err        error
}

type callOption func(*callSettings)

func (o callOption) applyToCall(s *callSettings) { o(s) }
func (o callOption) applyToMap(s *mapSettings)   { o(&s.call) }

type mapOption func(*mapSettings)

func (o mapOption) applyToMap(s *mapSettings) { o(s) }

// Timeout bounds a call from the start of its execution; time in a queue does not count. When it is over the ctx of the
// function is done with [ErrTimeout] as its cause; an executor that can, ends a function that does not listen. With [Retries]
// each attempt has d for itself: what bounds them all is the ctx of the call. d must be positive.
func Timeout(d time.Duration) CallOption {
	return callOption(func(s *callSettings) {
		if d <= 0 {
			s.err = fmt.Errorf("futures: Timeout: %v is not positive", d)
		}
		s.timeout = d
	})
}

// Retries declares that a call may run again after it was lost in a crash, up to n times. Without it a call runs at most
// once. An error that the function returns is never retried. n must not be negative.
func Retries(n int) CallOption {
	return callOption(func(s *callSettings) {
		if n < 0 {
			s.err = fmt.Errorf("futures: Retries: %d is negative", n)
		}
		s.retries = n
	})
}

// Chunksize hands inputs to the executor n at a time, for one worker (rows P70, P71). A chunk is a matter of transport:
// its items succeed, fail and crash one by one. One of more than 32,768 is handed over in parts. Without it the executor forms chunks itself, from measured durations, and a
// threadpool has no use for them. n must be at least 1.
func Chunksize(n int) MapOption {
	return mapOption(func(s *mapSettings) {
		if n < 1 {
			s.err = fmt.Errorf("futures: Chunksize: %d is less than 1", n)
		}
		s.chunksize = n
	})
}

// Buffersize is the number of inputs taken ahead of the consumer: at most n of them are outstanding between two results,
// and n+1 while one is awaited (rows E34, E35). The default is 1024, or twice the Chunksize, or sixteen
// of the chunks that the executor forms itself, if that is more. n must be at least 1.
func Buffersize(n int) MapOption {
	return mapOption(func(s *mapSettings) {
		if n < 1 {
			s.err = fmt.Errorf("futures: Buffersize: %d is less than 1", n)
		}
		s.buffersize = n
	})
}

const (
	defaultBuffersize = 1024

	// mostInChunk bounds a chunk, whatever size was asked for.
	mostInChunk = 1 << 15
)

// noSettings are those of a call without options.
var noSettings callSettings

func collectCall(opts []CallOption) *callSettings {
	if len(opts) == 0 {
		return &noSettings
	}
	s := new(callSettings)
	for _, o := range opts {
		if o != nil {
			o.applyToCall(s)
		}
	}
	return s
}

func collectMap(opts []MapOption) (mapSettings, error) {
	var s mapSettings
	for _, o := range opts {
		if o != nil {
			o.applyToMap(&s)
		}
	}
	if s.err == nil {
		s.err = s.call.err
	}
	s.ahead = s.buffersize > 0
	if !s.ahead {
		s.buffersize = max(defaultBuffersize, 2*min(s.chunksize, mostInChunk))
	}
	return s, s.err
}
