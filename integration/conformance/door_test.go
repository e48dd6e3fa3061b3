//go:build unix

package conformance_test

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A door is where calls stop until the test lets them through. It listens on loopback, so it does not matter in which
// process a call runs: see the Func pass.
type door struct {
	t    *testing.T
	addr string
	come chan *visitor // those nobody has met yet, in the order of their arrival

	mu     sync.Mutex
	here   []*visitor
	all    int
	opened bool // visitors pass without being met
}

// A visitor is a call that stands at the door.
type visitor struct {
	t    *testing.T
	name string
	pid  int // of the process it runs in
	conn net.Conn
}

// manyVisitors is more than any test sends to its door.
const manyVisitors = 4096

func newDoor(t *testing.T) *door {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	d := &door{t: t, addr: l.Addr().String(), come: make(chan *visitor, manyVisitors)}
	accepting := make(chan struct{})
	go func() { // ends with the listener
		defer close(accepting)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			d.admit(conn)
		}
	}()
	t.Cleanup(func() {
		_ = l.Close() // which it reports once
		<-accepting
		d.mu.Lock()
		defer d.mu.Unlock()
		for _, v := range d.here {
			_ = v.conn.Close() // who still stands there hears that nobody will answer
		}
	})
	return d
}

func (d *door) admit(conn net.Conn) {
	v := &visitor{t: d.t, conn: conn}
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err == nil {
		_, err = fmt.Sscanf(line, "%d %q\n", &v.pid, &v.name)
	}
	if err != nil {
		_ = conn.Close() // its process died on the doorstep
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.here = append(d.here, v)
	d.all++
	if d.opened {
		v.tell(passOn)
		return
	}
	d.come <- v
}

// at makes the argument of pass.
func (d *door) at(value int) errand { return errand{d.addr, fmt.Sprintf("%04d", value), value} }

// meet waits for the next visitor.
func (d *door) meet() *visitor {
	d.t.Helper()
	select {
	case v := <-d.come:
		return v
	case <-time.After(patience):
		require.FailNow(d.t, "nobody came to the door")
		return nil
	}
}

// meetAll waits for n visitors and returns them in the order of their names.
func (d *door) meetAll(n int) []*visitor {
	d.t.Helper()
	met := make([]*visitor, n)
	for i := range met {
		met[i] = d.meet()
	}
	slices.SortFunc(met, func(a, b *visitor) int { return strings.Compare(a.name, b.name) })
	return met
}

// open lets everybody through, now and from now on.
func (d *door) open() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.opened = true
	for _, v := range d.here {
		v.tell(passOn)
	}
}

// count is the number of calls that have come to the door so far.
func (d *door) count() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.all
}

// tell lets v go and says what becomes of it. A visitor that has gone already does not hear it.
func (v *visitor) tell(f fate) {
	_, _ = fmt.Fprintf(v.conn, "%s\n", f)
}

// awaitGone returns when v has left the door, or the process it ran in is dead.
func (v *visitor) awaitGone() {
	v.t.Helper()
	require.NoError(v.t, v.conn.SetReadDeadline(time.Now().Add(patience)))
	_, err := v.conn.Read(make([]byte, 1))
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		require.FailNow(v.t, "the visitor has not left")
	}
	require.Error(v.t, err, "a visitor says one line")
}
