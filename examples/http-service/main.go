// Command http-service runs its clients' programs, whatever they do. It shows an HTTP service over a pool of processes:
//
//   - a request's ctx bounds its call: the deadline travels to the worker, and a client that goes away frees it;
//   - a program that fails or panics is answered with 422, one that takes the worker with it with 500, one that does not end
//     with 504, and all others are served meanwhile;
//   - when too many requests wait, the next one is refused with 503;
//   - SIGTERM or Ctrl-C ends it in order: what was accepted is answered, then the workers go.
//
// The programs are in a language of eight signs (tape.go), in which a loop without end takes three.
//
//	go run ./examples/http-service -addr 127.0.0.1:8080
//	curl '127.0.0.1:8080/run?input=echo' -d ',[.,]'  # 200 echo
//	curl 127.0.0.1:8080/run -d '<+'                # 422 index out of range
//	curl 127.0.0.1:8080/run -d '+[]'               # 504
package main

import (
	"context"
	"errors"
	"flag"
	"log/slog"
	"math"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/seed7d1be1d5/concurrent/futures"
	"github.com/seed7d1be1d5/concurrent/procpool"
	"github.com/seed7d1be1d5/concurrent/worker"
)

func main() {
	worker.MainIfWorker(execute, limitStack)
	addr := flag.String("addr", "127.0.0.1:0", "where to listen")
	workers := flag.Int("workers", 0, "programs that run at once; 0 means one for each CPU")
	queue := flag.Int("queue", 100, "requests that may wait")
	timeout := flag.Duration("timeout", 2*time.Second, "how long a request may take")
	flag.Parse()
	config := procpool.Config{
		Worker:      procpool.Self(),
		MaxWorkers:  *workers,
		MaxQueue:    *queue,
		Initializer: futures.Bind(limitStack, 16<<20),
		KillGrace:   100 * time.Millisecond,
		OnCrash:     procpool.ReplaceWorker,
		MaxCrashes:  math.MaxInt, // clients may crash as many as they like
		Stderr:      os.Stderr,
	}
	if err := serve(*addr, config, *timeout); err != nil {
		slog.Error(err.Error())
		os.Exit(1)
	}
}

// serve returns when the process was asked to end, and everything has.
func serve(addr string, config procpool.Config, timeout time.Duration) error {
	pool, err := procpool.New(config)
	if err != nil {
		return err
	}
	defer pool.Close() //nolint:errcheck // it has nothing to report
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /run", (&service{pool: pool, maxQueue: config.MaxQueue, timeout: timeout}).run)
	server := &http.Server{Handler: mux, ReadTimeout: 10 * time.Second}

	asked, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ended := make(chan error)
	go func() { // Serve ends with Shutdown or by itself; ended is received from below in any case
		slog.Info("listening on http://" + listener.Addr().String())
		ended <- server.Serve(listener)
	}()
	select {
	case err := <-ended:
		return err
	case <-asked.Done():
	}
	stop() // a second signal ends the program at once, and the workers with it
	slog.Info("shutting down")
	// First those who submit, then those who work. Every request is bounded, so Shutdown needs no bound of its own.
	err = server.Shutdown(context.Background())
	if served := <-ended; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}
