package tasks

import (
	"context"
	"crypto/rand"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/seed7d1be1d5/concurrent/futures"
	"github.com/seed7d1be1d5/concurrent/worker"
)

func init() {
	All = append(All, Look, ReadFile, WriteFile, Dial, Write, AskHost, AskMuch, ReadStdin, Now)
}

// Surroundings is what a guest sees of the world.
type Surroundings struct {
	Env, Files []string // names in the root folder
	FilesErr   string
	Random     []byte
}

var Look = futures.NewFunc("tasks.Look", func(context.Context, struct{}) (s Surroundings, _ error) {
	s.Env = os.Environ()
	entries, err := os.ReadDir("/")
	if err != nil {
		s.FilesErr = err.Error()
	}
	for _, e := range entries {
		s.Files = append(s.Files, e.Name())
	}
	s.Random = make([]byte, 16)
	_, err = rand.Read(s.Random)
	return s, err
})

var Now = futures.NewFunc("tasks.Now", func(context.Context, struct{}) (time.Time, error) { return time.Now(), nil })

var ReadFile = futures.NewFunc("tasks.ReadFile", func(_ context.Context, name string) (string, error) {
	b, err := os.ReadFile(name)
	return string(b), err
})

var WriteFile = futures.NewFunc("tasks.WriteFile", func(_ context.Context, name string) (struct{}, error) {
	return struct{}{}, os.WriteFile(name, []byte("written"), 0o600)
})

var Dial = futures.NewFunc("tasks.Dial", func(ctx context.Context, address string) (struct{}, error) {
	var d net.Dialer
	_, err := d.DialContext(ctx, "tcp", address)
	return struct{}{}, err
})

var ReadStdin = futures.NewFunc("tasks.ReadStdin", func(context.Context, struct{}) (string, error) {
	b, err := io.ReadAll(os.Stdin)
	return string(b), err
})

// Write writes to the standard output and the standard error.
var Write = futures.NewFunc("tasks.Write", func(_ context.Context, text string) (struct{}, error) {
	_, err := os.Stdout.WriteString(text)
	if err == nil {
		_, err = os.Stderr.WriteString(text)
	}
	return struct{}{}, err
})

// Granted is a function of the host.
var Granted = futures.Declare[string, string]("tasks.Granted")

// AskHost calls Granted.
var AskHost = futures.NewFunc("tasks.AskHost", func(ctx context.Context, text string) (string, error) {
	return worker.CallHost(ctx, Granted, text)
})

// AskMuch has n goroutines call Granted, with long answers, and says how many did not get their own.
var AskMuch = futures.NewFunc("tasks.AskMuch", func(ctx context.Context, n int) (wrong int, _ error) {
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			text := string(rune('a' + i%26))
			answer, err := worker.CallHost(ctx, Granted, text)
			if err != nil || answer != strings.Repeat(text, len(answer)) {
				wrong++
			}
		})
	}
	all.Wait()
	return wrong, nil
})
