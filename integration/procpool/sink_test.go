//go:build linux

package procpool_test

import (
	"bytes"
	"context"
	"log/slog"
	"sync"
)

// sink is a Writer that keeps what it gets. It needs no lock of its own, since a pool serialises, but the test reads it.
type sink struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (s *sink) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.buf.Write(p)
}

func (s *sink) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.buf.String()
}

// journal is a slog.Handler that keeps what it gets.
type journal struct{ *journalStore }

type journalStore struct {
	mu      sync.Mutex
	records []slog.Record
}

func newJournal() journal { return journal{&journalStore{}} }

func (j journal) Enabled(context.Context, slog.Level) bool { return true }
func (j journal) WithAttrs([]slog.Attr) slog.Handler       { return j }
func (j journal) WithGroup(string) slog.Handler            { return j }
func (j journal) Handle(_ context.Context, r slog.Record) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.records = append(j.records, r.Clone())
	return nil
}

// find returns the records with the message.
func (j journal) find(message string) (found []slog.Record) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, r := range j.records {
		if r.Message == message {
			found = append(found, r)
		}
	}
	return found
}

func (j journal) atLeast(level slog.Level) (messages []string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, r := range j.records {
		if r.Level >= level {
			messages = append(messages, r.Message)
		}
	}
	return messages
}
