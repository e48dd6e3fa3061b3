package main

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"

	"github.com/seed7d1be1d5/concurrent/bench/pipe"
	"github.com/seed7d1be1d5/concurrent/bench/tasks"
	"github.com/seed7d1be1d5/concurrent/ipc"
)

// A pipePeer is a child process that answers requests of one size with responses of another over two anonymous pipes: the
// floor under any pool of processes that uses pipes.
type pipePeer struct {
	child             *exec.Cmd
	out, in           pipe.End
	request, response []byte
}

// A pipeSize of zero is what the kernel gives by default.
func startPipePeer(c Children, request, response []byte, pipeSize int) (*pipePeer, error) {
	childIn, hostOut, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	hostIn, childOut, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	child := exec.Command(c.path("pipe"), strconv.Itoa(len(request)), strconv.Itoa(len(response)))
	child.ExtraFiles = []*os.File{childIn, childOut}
	child.Stderr = os.Stderr
	if err := child.Start(); err != nil {
		return nil, err
	}
	_, _ = childIn.Close(), childOut.Close() // the child has its own
	p := &pipePeer{child: child, request: request, response: make([]byte, len(response))}
	if p.out, err = pipe.NewEnd(hostOut); err != nil {
		return nil, err
	}
	if p.in, err = pipe.NewEnd(hostIn); err != nil {
		return nil, err
	}
	if pipeSize > 0 {
		if err := pipe.Grow(p.out, pipeSize); err != nil {
			return p, err
		}
		if err := pipe.Grow(p.in, pipeSize); err != nil {
			return p, err
		}
	}
	return p, nil
}

// exchange is one request and its response. It does best on a goroutine that is locked to its thread.
func (p *pipePeer) exchange() error {
	if err := p.out.Write(p.request); err != nil {
		return fmt.Errorf("bare pipe: %w", err)
	}
	if err := p.in.Read(p.response); err != nil {
		return fmt.Errorf("bare pipe: %w", err)
	}
	return nil
}

// close ends the child and waits for it.
func (p *pipePeer) close() error {
	_ = p.out.Close() // the child's reason to end
	err := p.child.Wait()
	_ = p.in.Close()
	return err
}

// noopFrames are the bytes that a call of tasks.Noop is on the wire: those of the ten thousandth call.
func noopFrames() (request, response []byte) {
	const id, value = 10_000, 1
	return frames(id, tasks.Noop.Name(), value)
}

// echoFrames are the bytes that a call of tasks.Echo is on the wire.
func echoFrames(payload []byte) (request, response []byte) {
	const id = 10
	return frames(id, tasks.Echo.Name(), payload)
}

func frames[T any](id uint64, name string, value T) (request, response []byte) {
	arg, err := ipc.AppendValue(nil, &value)
	if err != nil {
		panic(err) // numbers and bytes can be encoded
	}
	request = ipc.AppendRequest(nil, id, name, ipc.Meta{}, arg)
	response, err = ipc.AppendResult(nil, id, &value, 1<<30)
	if err != nil {
		panic(err)
	}
	return request, response
}
