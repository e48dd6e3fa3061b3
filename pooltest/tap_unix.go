//go:build unix

package pooltest

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed7d1be1d5/concurrent/ipc"
)

// Tap goes between this worker and its pipes, if the environment holds a [Wiretap], and does nothing otherwise. Call it before worker.Main.
//
// Everything then travels through the pipes: the worker is left without the memory that it could share with the pool for results and large values.
func Tap() {
	text := os.Getenv(tapVar)
	if text == "" || os.Getenv(ipc.CookieKey) != ipc.CookieValue {
		return
	}
	var w Wiretap
	err := json.Unmarshal([]byte(text), &w)
	if err == nil {
		err = w.install()
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "pooltest: tap the pipes: %v\n", err)
		os.Exit(3)
	}
}

// install gives the worker pipes of its own, and copies between those and the pool's for as long as the process lives.
func (w *Wiretap) install() error {
	var err error
	if wire.requests, err = duplicate(ipc.FDRequests); err != nil {
		return err
	}
	if wire.responses, err = duplicate(ipc.FDResponses); err != nil {
		return err
	}
	toWorker, err := replace(ipc.FDRequests, true)
	if err != nil {
		return err
	}
	fromWorker, err := replace(ipc.FDResponses, false)
	if err != nil {
		return err
	}
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	for _, fd := range []int{ipc.FDRing, ipc.FDArena} {
		if err := copyTo(int(null.Fd()), fd); err != nil {
			return err
		}
	}
	if err := null.Close(); err != nil {
		return err
	}
	requests := &pump{tap: w, from: os.NewFile(uintptr(wire.requests), "requests"), to: toWorker, taken: WriteRequest, halved: ReadRequest, ended: LetGo}
	responses := &pump{tap: w, from: fromWorker, to: os.NewFile(uintptr(wire.responses), "responses"), begun: WriteResult, passed: ReadResult}
	go requests.run() // both end with the process
	go responses.run()
	return nil
}

// duplicate copies a descriptor to a number above those that the protocol uses, and keeps it from programs that are started.
func duplicate(fd int) (int, error) {
	const above = 20
	return unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, above)
}

// replace puts one end of a new pipe where fd was, and returns the other.
func replace(fd int, reads bool) (*os.File, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	theirs, ours := w, r
	if reads {
		theirs, ours = r, w
	}
	return ours, errors.Join(copyTo(int(theirs.Fd()), fd), theirs.Close())
}

// A pump copies frames, and stands at the gate when it comes to the one with the marker.
type pump struct {
	tap      *Wiretap
	from, to *os.File

	taken  WirePoint // the beginning of a frame was taken, and nothing was passed on
	begun  WirePoint // as much was passed on
	halved WirePoint // the frame was taken, and half of it passed on
	passed WirePoint // all of it was passed on
	ended  WirePoint // there will be no further frame
}

// beginning is how many bytes of a frame's body are looked at for the marker.
const beginning = 4 << 10

// run copies until one side is gone.
func (p *pump) run() {
	err := p.copyAll()
	if errors.Is(err, io.EOF) {
		err = p.at(p.ended, nil)
	}
	if err == nil || errors.Is(err, io.ErrUnexpectedEOF) {
		_ = p.to.Close() // so that the other side hears of it
		return
	}
	fmt.Fprintf(os.Stderr, "pooltest: a tapped pipe: %v\n", err)
	os.Exit(3)
}

func (p *pump) copyAll() error {
	for {
		head := make([]byte, 8)
		if _, err := io.ReadFull(p.from, head); err != nil {
			return err
		}
		body := make([]byte, binary.BigEndian.Uint32(head[4:]))
		first := body[:min(len(body), beginning)]
		if _, err := io.ReadFull(p.from, first); err != nil {
			return noEOF(err)
		}
		if err := p.at(p.taken, first); err != nil {
			return err
		}
		if err := p.pass(head, first); err != nil {
			return err
		}
		if err := p.at(p.begun, first); err != nil {
			return err
		}
		rest := body[len(first):]
		if _, err := io.ReadFull(p.from, rest); err != nil {
			return noEOF(err)
		}
		if err := p.pass(rest[:len(rest)/2]); err != nil {
			return err
		}
		if err := p.at(p.halved, first); err != nil {
			return err
		}
		if err := p.pass(rest[len(rest)/2:]); err != nil {
			return err
		}
		if err := p.at(p.passed, first); err != nil {
			return err
		}
	}
}

// noEOF is what an end inside a frame is.
func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// at stands at the gate if this is the point, and the message that begins with first the one.
func (p *pump) at(point WirePoint, first []byte) error {
	if point == "" || point != p.tap.At || point != p.ended && !bytes.Contains(first, []byte(p.tap.Marker)) {
		return nil
	}
	return stand(context.Background(), p.tap.Gate, string(point))
}

func (p *pump) pass(pieces ...[]byte) error {
	for _, b := range pieces {
		for len(b) > 0 {
			piece := b
			if p.tap.Pause > 0 {
				piece = b[:min(len(b), 1<<10)]
				time.Sleep(p.tap.Pause)
			}
			n, err := p.to.Write(piece)
			if err != nil {
				return err
			}
			b = b[n:]
		}
	}
	return nil
}
