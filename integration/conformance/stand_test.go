//go:build unix

package conformance_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/seed7d1be1d5/concurrent/futures"
)

// stand is the visitor's side: it waits until the test says what becomes of it, or ctx is done.
func stand(ctx context.Context, addr, name string, pid int) (fate, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err != nil {
		return "", err
	}
	defer conn.Close() // nothing is lost with it
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	if _, err := fmt.Fprintf(conn, "%d %q\n", pid, name); err != nil {
		return "", errors.Join(ctx.Err(), err)
	}
	line, err := bufio.NewReader(conn).ReadString('\n')
	if ctx.Err() != nil {
		return "", ctx.Err()
	}
	return fate(strings.TrimSpace(line)), err
}

// standFor is stand on behalf of a guest, which has no network.
var standFor = futures.NewFunc("stand", func(ctx context.Context, v standing) (fate, error) { return stand(ctx, v.Addr, v.Name, v.PID) })
