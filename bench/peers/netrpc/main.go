// Command netrpc serves the no-op through go-plugin's net/rpc.
package main

import (
	"io"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"

	"github.com/seed7d1be1d5/concurrent/bench/netrpc"
)

func main() {
	plugin.Serve(&plugin.ServeConfig{
		HandshakeConfig: netrpc.Handshake,
		Plugins:         netrpc.Plugins,
		Logger:          hclog.New(&hclog.LoggerOptions{Output: io.Discard}),
	})
}
