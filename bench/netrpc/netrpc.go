// Package netrpc is the no-op as a plugin of hashicorp/go-plugin over net/rpc: what its host and its plugin share.
package netrpc

import (
	"net/rpc"

	"github.com/hashicorp/go-plugin"
)

// Name is the plugin's, Method that of its one function.
const (
	Name   = "noop"
	Method = "Plugin.Noop" // go-plugin serves every net/rpc plugin under this name
)

// Handshake tells the plugin that a host of its own has started it.
var Handshake = plugin.HandshakeConfig{ProtocolVersion: 1, MagicCookieKey: "CONCURRENT_BENCH", MagicCookieValue: "netrpc"}

// Plugins is what there is to dispense.
var Plugins = plugin.PluginSet{Name: noop{}}

// noop dispenses the bare client, so that calls can be pipelined.
type noop struct{}

func (noop) Server(*plugin.MuxBroker) (any, error)                  { return &server{}, nil }
func (noop) Client(_ *plugin.MuxBroker, c *rpc.Client) (any, error) { return c, nil }

type server struct{}

// Noop returns what it got.
func (*server) Noop(n int, out *int) error {
	*out = n
	return nil
}
