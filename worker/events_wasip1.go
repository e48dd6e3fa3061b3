package worker

import (
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"runtime"
	"sync"

	"github.com/seed7d1be1d5/concurrent/ipc/abi"
)

// tickets are the goroutines that wait at queues, by the number of their ticket. A channel has room for one ring.
//
// There is one thread, but a goroutine that allocates may have to stand back for the collector, and others run.
var tickets struct {
	sync.Mutex
	last uint64
	wait map[uint64]chan struct{}
}

// receiveEvents waits in Go's poller, and so lets the other goroutines run. Nobody else waits in the host.
func receiveEvents() {
	events := os.NewFile(abi.Events, "events")
	var buf [64 * 8]byte
	for {
		n, err := events.Read(buf[:])
		if err != nil {
			panic(fmt.Sprintf("worker: read events: %v", err))
		}
		for b := buf[:n]; len(b) >= 8; b = b[8:] {
			receive(binary.LittleEndian.Uint64(b))
		}
	}
}

func receive(event uint64) {
	number := event & (1<<abi.EventShift - 1)
	switch event >> abi.EventShift {
	case abi.EventTicket:
		tickets.Lock()
		c := tickets.wait[number]
		tickets.Unlock()
		select {
		case c <- struct{}{}: // nil for a ticket that is spent
		default:
		}
	case abi.EventCancel:
		if c := guest.running; c != nil && c.id == number {
			c.cancel(context.Canceled)
		}
	case abi.EventDeadlock:
		stacks := make([]byte, 64<<10)
		stacks = stacks[:runtime.Stack(stacks, true)]
		fmt.Fprintf(os.Stderr, "fatal error: all goroutines are asleep - deadlock!\n\n%s\n", stacks)
		os.Exit(2)
	}
}

// lineUp makes a ticket.
func lineUp() (ticket uint64, rung <-chan struct{}) {
	tickets.Lock()
	defer tickets.Unlock()
	tickets.last++
	c := make(chan struct{}, 1)
	if tickets.wait == nil {
		tickets.wait = map[uint64]chan struct{}{}
	}
	tickets.wait[tickets.last] = c
	return tickets.last, c
}

func forget(ticket uint64) {
	tickets.Lock()
	defer tickets.Unlock()
	delete(tickets.wait, ticket)
}
