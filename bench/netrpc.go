package main

import (
	"context"
	"fmt"
	"net/rpc"
	"os/exec"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"

	"github.com/seed7d1be1d5/concurrent/bench/netrpc"
)

// A netrpcPeer is a plugin of hashicorp/go-plugin, called through its net/rpc.
type netrpcPeer struct {
	plugin *plugin.Client
	rpc    *rpc.Client
	stop   func() bool
}

// startNetrpcPeer starts one, which ends with ctx at the latest.
func startNetrpcPeer(ctx context.Context, c Children) (*netrpcPeer, error) {
	p := &netrpcPeer{plugin: plugin.NewClient(&plugin.ClientConfig{
		HandshakeConfig: netrpc.Handshake,
		Plugins:         netrpc.Plugins,
		Cmd:             exec.Command(c.path("netrpc")),
		Logger:          hclog.NewNullLogger(),
	})}
	client, err := p.plugin.Client()
	if err != nil {
		p.plugin.Kill()
		return nil, fmt.Errorf("go-plugin net/rpc: %w", err)
	}
	dispensed, err := client.Dispense(netrpc.Name)
	if err != nil {
		p.plugin.Kill()
		return nil, fmt.Errorf("go-plugin net/rpc: %w", err)
	}
	p.rpc = dispensed.(*rpc.Client) // see netrpc.Plugins
	p.stop = context.AfterFunc(ctx, p.plugin.Kill)
	return p, nil
}

func (p *netrpcPeer) close() {
	p.stop()
	p.plugin.Kill()
}

// call is one call at a time.
func (p *netrpcPeer) call() error {
	var out int
	return p.rpc.Call(netrpc.Method, 1, &out)
}

// pipeline makes n calls, all of them under way at once, and returns the calls per second.
func (p *netrpcPeer) pipeline(n int) (float64, error) {
	out := make([]int, n)
	done := make(chan *rpc.Call, n)
	begin := time.Now()
	for i := range n {
		p.rpc.Go(netrpc.Method, i, &out[i], done)
	}
	for range n {
		if call := <-done; call.Error != nil {
			return 0, fmt.Errorf("go-plugin net/rpc: %w", call.Error)
		}
	}
	return rate(n, begin), nil
}
