package pooltest

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// A Gate is where calls stop, in whatever process they run, until somebody has met them and said what becomes of them: see [Wait] and [Lurk]. It
// listens on the loopback interface.
type Gate struct {
	listener net.Listener
	come     chan *Visitor // nobody has met them
	accepts  sync.WaitGroup

	mu     sync.Mutex
	here   []*Visitor
	opened bool
}

// A Visitor is a call that stands at a [Gate].
type Visitor struct {
	PID  int    // of the process it is in
	Name string // of the errand, of the Func, or what the visitor calls itself

	conn net.Conn
	told sync.Once
}

// arrival and verdict are what a visitor says, and is told: a line of JSON each.
type arrival struct {
	PID  int
	Name string
}

type verdict struct{ Faults []Fault }

// lurking is what a visitor of [Lurk] calls itself.
const lurking = "lurking"

// NewGate makes a gate. Close it.
func NewGate() (*Gate, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("pooltest: make a gate: %w", err)
	}
	const most = 1 << 14 // more than stand at a gate
	g := &Gate{listener: l, come: make(chan *Visitor, most)}
	g.accepts.Go(g.accept)
	return g, nil
}

// Addr is what calls need to find the gate.
func (g *Gate) Addr() string { return g.listener.Addr().String() }

// accept ends with the listener.
func (g *Gate) accept() {
	for {
		conn, err := g.listener.Accept()
		if err != nil {
			return
		}
		g.admit(conn)
	}
}

func (g *Gate) admit(conn net.Conn) {
	var a arrival
	const patience = 10 * time.Second // for a line that was sent with the connection
	_ = conn.SetReadDeadline(time.Now().Add(patience))
	if err := receive(conn, &a); err != nil {
		_ = conn.Close() // its process died on the doorstep
		return
	}
	_ = conn.SetReadDeadline(time.Time{})
	v := &Visitor{PID: a.PID, Name: a.Name, conn: conn}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.here = append(g.here, v)
	if g.opened {
		_ = v.Befall()
		return
	}
	g.come <- v
}

// Meet waits for the next visitor that nobody has met, as long as ctx lets it.
func (g *Gate) Meet(ctx context.Context) (*Visitor, error) {
	select {
	case v := <-g.come:
		return v, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("pooltest: nobody came to the gate: %w", context.Cause(ctx))
	}
}

// Open lets everybody pass, now and from now on.
func (g *Gate) Open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.opened = true
	for _, v := range g.here {
		_ = v.Befall() // it may be gone
	}
}

// Close takes the gate away. Who still stands there gets an error.
func (g *Gate) Close() error {
	err := g.listener.Close()
	g.accepts.Wait()
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, v := range g.here {
		_ = v.conn.Close() // the visitor may have closed it
	}
	g.here = nil
	return err
}

// Befall tells the visitor what becomes of it: all faults, one after the other, or nothing if there are none. Only the first time counts. An error says
// that it is gone.
func (v *Visitor) Befall(faults ...Fault) (err error) {
	v.told.Do(func() {
		if err = send(v.conn, verdict{faults}); err != nil {
			err = fmt.Errorf("pooltest: %d is not at the gate any more: %w", v.PID, err)
		}
	})
	return err
}

// Gone waits, as long as ctx lets it, until the visitor has done what it was told, or its process is dead.
func (v *Visitor) Gone(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { _ = v.conn.SetReadDeadline(time.Now()) })
	defer stop()
	_, err := io.Copy(io.Discard, v.conn)
	if ctx.Err() != nil && errors.Is(err, os.ErrDeadlineExceeded) {
		return fmt.Errorf("pooltest: %d has not left the gate: %w", v.PID, context.Cause(ctx))
	}
	return nil // however the connection ended
}

// stand is the visitor's side. The connection ends when all is over, or with the process.
func stand(ctx context.Context, gate, name string) error {
	defer borrowFile()()
	conn, err := net.Dial("tcp", gate)
	if err != nil {
		return fmt.Errorf("pooltest: go to the gate: %w", err)
	}
	defer func() { _ = conn.Close() }() // nothing is lost with it
	if err := send(conn, arrival{os.Getpid(), name}); err != nil {
		return fmt.Errorf("pooltest: stand at the gate: %w", err)
	}
	var v verdict
	if err := receive(conn, &v); err != nil {
		return fmt.Errorf("pooltest: stand at the gate: %w", err)
	}
	return Befall(ctx, v.Faults...)
}

func send(conn net.Conn, what any) error {
	line, err := json.Marshal(what)
	if err == nil {
		_, err = conn.Write(append(line, '\n'))
	}
	return err
}

func receive(conn net.Conn, what any) error {
	line, err := bufio.NewReader(conn).ReadBytes('\n')
	if err != nil {
		return err
	}
	return json.Unmarshal(line, what)
}
