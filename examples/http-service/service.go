package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/seed7d1be1d5/concurrent/futures"
	"github.com/seed7d1be1d5/concurrent/procpool"
)

// service runs the programs of its clients in a pool.
type service struct {
	pool     *procpool.ProcessPoolExecutor
	maxQueue int           // the pool's Config.MaxQueue
	timeout  time.Duration // for one request, its time in the queue included
}

const maxProgram = 1 << 20

// run answers POST /run?input=... with the output of the program in the body.
func (s *service) run(w http.ResponseWriter, r *http.Request) {
	program, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxProgram))
	if err != nil {
		http.Error(w, err.Error(), http.StatusRequestEntityTooLarge)
		return
	}
	// Submit would wait for room, for as long as ctx lets it. A client that hears at once can go elsewhere. Where others are quicker
	// between this look and Submit, it still waits, and no longer than ctx.
	if s.pool.Stats().Queued >= s.maxQueue {
		slog.Warn("refused: the queue is full")
		w.Header().Set("Retry-After", "1")
		http.Error(w, "too many requests are waiting", http.StatusServiceUnavailable)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), s.timeout) // done when the client goes away, too
	defer cancel()
	f := futures.Submit(ctx, s.pool, execute, Job{Program: program, Input: []byte(r.URL.Query().Get("input"))})
	slog.Info("accepted", "program", len(program))

	// ctx bounds the call. Not this wait: how the call ended says more than that ctx is done, such as whether it ever started.
	output, err := f.Result(context.Background())
	status, text := verdict(err)
	slog.Info("answered", "status", status, "err", err)
	if err != nil {
		http.Error(w, text, status)
		return
	}
	_, _ = w.Write(output) // the client may be gone, which is its own business
}

// statusClientGone is what nginx logs for a client that did not wait. Nobody receives it.
const statusClientGone = 499

// verdict says in the terms of HTTP how a call ended. The order matters: a worker that was killed for a call that did not end
// is a crash by its type, but what the client should hear is that its time was over.
func verdict(err error) (status int, text string) {
	var failed *futures.TaskError
	var crash *procpool.WorkerCrashError
	switch {
	case err == nil:
		return http.StatusOK, ""
	case errors.Is(err, context.Canceled):
		return statusClientGone, "the client is gone"
	case errors.Is(err, futures.ErrCancelled), errors.Is(err, futures.ErrShutdown):
		return http.StatusServiceUnavailable, "the program was not started"
	case errors.Is(err, context.DeadlineExceeded):
		return http.StatusGatewayTimeout, "the program did not end in time"
	case errors.As(err, &failed):
		return http.StatusUnprocessableEntity, failed.Message
	case errors.As(err, &crash):
		return http.StatusInternalServerError, "the program took its worker with it"
	default:
		return http.StatusInternalServerError, "no program can be run"
	}
}
