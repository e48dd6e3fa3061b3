//go:build unix

package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/seed7d1be1d5/concurrent/ipc"
)

// evil is what terminals obey: a new title, an empty screen, a colour, text in the other direction.
const evil = "\x1b]0;owned\x07\x1b[2J\u009b1m\u202e\x7f\U000E0001\r"

// stranger is a hostile worker: whatever it says is evil, and what it says of itself also long. With the argument "none" it is no worker, with
// "stray" one that does not speak the protocol.
func stranger() {
	fmt.Fprintln(os.Stderr, "said"+evil)
	mode := strings.Join(os.Args[1:], "")
	if mode == "none" {
		os.Exit(5)
	}
	fmt.Println(ipc.HandshakeLine)
	tell := func(frame []byte) {
		if _, err := os.NewFile(ipc.FDResponses, "responses").Write(frame); err != nil {
			os.Exit(0)
		}
	}
	if mode == "stray" {
		tell([]byte("stray" + evil))
		return
	}
	long := strings.Repeat(evil, 1000)
	hello := ipc.HelloParam{Protocol: ipc.Version, Build: "build" + long, Features: []string{"feature" + long}, Functions: []ipc.Function{
		{Name: "answer"}, {Name: "fail"}, {Name: "panic"}, {Name: "name" + long, In: "in" + long, Out: "out" + long},
	}}
	tell(ipc.AppendNotification(nil, ipc.Hello, hello))
	frames := ipc.NewReader(os.NewFile(ipc.FDRequests, "requests"), ipc.MaxBody)
	for {
		body, err := frames.Next()
		if err != nil {
			return
		}
		m, err := ipc.ParseMessage(body)
		if err != nil {
			panic(err)
		}
		if m.Kind != ipc.KindRequest {
			continue
		}
		switch string(m.Name) {
		case "answer":
			frame, err := ipc.AppendResult(nil, m.ID, &map[string]any{"key" + evil: "answer" + evil}, ipc.MaxBody)
			if err != nil {
				panic(err)
			}
			tell(frame)
		case "fail":
			tell(ipc.AppendFailure(nil, m.ID, ipc.Failure{Kind: ipc.FailedTask, Type: "type" + evil, Message: "message" + evil}))
		case "panic":
			tell(ipc.AppendFailure(nil, m.ID, ipc.Failure{Kind: ipc.FailedPanic, Type: "type" + long, Message: "message" + long, Stack: "stack" + evil}))
		}
	}
}
