//go:build !wasip1

package worker

import (
	"context"
	"fmt"
)

const inGuest = false

func callHost(string, any, any) error { panic("worker: BUG: there is no host") }

func listen() {}

func self() int64 { return 0 }

func checkpoint(ctx context.Context) error { return natively(ctx) }

func bound(name string) ([]byte, error) { return nil, fmt.Errorf("%w: %q", ErrNoVar, name) }
