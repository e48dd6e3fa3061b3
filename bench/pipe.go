package main

import (
	"context"
	"errors"
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
//
// What it takes depends on where the two processes run and on nothing else that was tried (locked threads or not, GOMAXPROCS of
// the child, system calls that tell the scheduler and such that do not, within 0.3 µs of each other). On one core the kernel
// switches from one to the other. On two cores each has to be woken from its sleep, which costs several times as much,
// most of all in a virtual machine. Left to itself the kernel changes its mind every now and then. A netpoller instead
// of descriptors that block costs half as much again.
type pipePeer struct {
	child             *exec.Cmd
	out, in           pipe.End
	request, response []byte
}

// startPipePeer starts one, which ends with ctx at the latest. A pipeSize of zero is what the kernel gives by default. The
// child inherits the cores of the calling thread.
func startPipePeer(ctx context.Context, c Children, request, response []byte, pipeSize int) (_ *pipePeer, err error) {
	childIn, hostOut, err := pipe.New()
	if err != nil {
		return nil, err
	}
	defer childIn.Close() // the child has its own
	hostIn, childOut, err := pipe.New()
	if err != nil {
		_ = hostOut.Close()
		return nil, err
	}
	defer childOut.Close()
	p := &pipePeer{out: hostOut, in: hostIn, request: request, response: make([]byte, len(response))}
	if pipeSize > 0 {
		err = errors.Join(pipe.Grow(p.out, pipeSize), pipe.Grow(p.in, pipeSize))
	}
	if err == nil {
		p.child = exec.CommandContext(ctx, c.path("pipe"), strconv.Itoa(len(request)), strconv.Itoa(len(response)))
		p.child.ExtraFiles = []*os.File{childIn.File(), childOut.File()}
		p.child.Stderr = os.Stderr
		err = p.child.Start()
	}
	if err != nil {
		_, _ = hostOut.Close(), hostIn.Close()
		return nil, fmt.Errorf("bare pipe: %w", err)
	}
	return p, nil
}

// exchange is one request and its response.
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
