package procpool

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"strconv"
	"strings"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"github.com/hashicorp/go-plugin/runner"

	"github.com/seed7d1be1d5/concurrent/ipc"
)

// go-plugin starts the worker, gives it the magic cookie, negotiates the version of the protocol, and says what went wrong if
// that fails. Process, pipes, wait and kill stay with this package: a runner of our own stands
// between, Client and Kill of the plugin client are never called, and of the folder it makes for sockets nothing is left.
//
// It trusts its plugins, and a worker may be hostile. So of all that a worker writes it gets five fields of one line: two numbers, two that PluginToHost
// holds against what they must be, and the name of a protocol.

// shake has start start a process, with what go-plugin adds to the environment, and returns when the worker has printed the
// handshake line, or with the reason why it has not.
func shake(config Config, path string, start func(env []string) (*plugged, error)) error {
	if config.Checksum != nil {
		secure := plugin.SecureConfig{Checksum: config.Checksum, Hash: sha256.New()}
		if ok, err := secure.Check(path); err != nil {
			return err
		} else if !ok {
			return plugin.ErrChecksumsDoNotMatch
		}
	}
	client := plugin.NewClient(&plugin.ClientConfig{
		HandshakeConfig: plugin.HandshakeConfig{
			ProtocolVersion:  ipc.Version,
			MagicCookieKey:   ipc.CookieKey,
			MagicCookieValue: ipc.CookieValue,
		},
		VersionedPlugins: map[int]plugin.PluginSet{ipc.Version: {}},
		Logger:           pluginLogger(config.Logger),
		StartTimeout:     config.StartTimeout,
		SkipHostEnv:      true, // start decides about the environment
		RunnerFunc: func(_ hclog.Logger, cmd *exec.Cmd, socketDir string) (runner.Runner, error) {
			if err := os.Remove(socketDir); err != nil { // only Kill would remove it
				return nil, err
			}
			return start(cmd.Env)
		},
	})
	_, err := client.Start()
	return err
}

// plugged is what go-plugin sees of a process that is running already. It owns nothing.
type plugged struct {
	name    string
	process *process
	stdout  io.ReadCloser // yields the handshake line
}

func (p *plugged) Start(context.Context) error     { return nil }
func (p *plugged) Diagnose(context.Context) string { return "" }
func (p *plugged) Stdout() io.ReadCloser           { return p.stdout }
func (p *plugged) Stderr() io.ReadCloser           { return io.NopCloser(strings.NewReader("")) }
func (p *plugged) Name() string                    { return p.name }
func (p *plugged) ID() string                      { return strconv.Itoa(p.process.pid()) }
func (p *plugged) Kill(context.Context) error      { return nil } // the link ends what did not start
func (p *plugged) Wait(context.Context) error      { <-p.process.exited; return nil }

// PluginToHost is asked before go-plugin looks an address up, which may be a name that a worker without a network wants to be told of.
func (p *plugged) PluginToHost(network, addr string) (string, string, error) {
	if _, rest, _ := strings.Cut(ipc.HandshakeLine, "|unix|"); network != "unix" || !strings.HasPrefix(rest, addr+"|") {
		return "", "", fmt.Errorf("%w: the handshake line does not name the pipes of a worker, but %q", ipc.ErrProtocol, network+"|"+addr)
	}
	return network, addr, nil
}

func (p *plugged) HostToPlugin(network, addr string) (string, string, error) {
	return network, addr, nil
}

// handshakeFilter passes the handshake line on to go-plugin and everything else to the user: what package initialisers print
// before it, and the functions' own output after it. go-plugin's own reader of standard output gives up at lines of 64 KiB
// and leaves the worker to block.
type handshakeFilter struct {
	line io.WriteCloser // to go-plugin
	rest io.Writer      // to the user
	seen bool
	buf  []byte
}

func (h *handshakeFilter) Write(p []byte) (int, error) {
	if h.seen {
		return h.rest.Write(p)
	}
	h.buf = append(h.buf, p...)
	for {
		i := bytes.IndexByte(h.buf, '\n')
		if i < 0 {
			break
		}
		line := h.buf[:i+1]
		h.buf = h.buf[i+1:]
		if isHandshake(line) {
			h.seen = true
			_, err := h.line.Write(firstFields(line))
			err = errors.Join(err, h.line.Close())
			_, restErr := h.rest.Write(h.buf)
			h.buf = nil
			return len(p), errors.Join(err, restErr)
		}
		if _, err := h.rest.Write(line); err != nil {
			return len(p), err
		}
	}
	if len(h.buf) > maxLine {
		_, err := h.rest.Write(h.buf)
		h.buf = h.buf[:0]
		return len(p), err
	}
	return len(p), nil
}

// isHandshake: two numbers, then at least two more fields.
func isHandshake(line []byte) bool {
	const most = 4 << 10 // go-plugin reads no line of more than 64 KiB
	fields := bytes.Split(line, []byte("|"))
	if len(fields) < 4 || len(line) > most {
		return false
	}
	for _, f := range fields[:2] {
		if _, err := strconv.Atoi(string(f)); err != nil {
			return false
		}
	}
	return true
}

// firstFields is the line without those that go-plugin has for certificates and the like. A fifth field is always there, since without one go-plugin
// takes the protocol for the right one.
func firstFields(line []byte) []byte {
	fields := append(bytes.Split(bytes.TrimSpace(line), []byte("|")), nil)
	return append(bytes.Join(fields[:min(len(fields), 5)], []byte("|")), '\n')
}

// close ends the line, so that go-plugin does not wait for one that cannot come.
func (h *handshakeFilter) close() {
	_ = h.line.Close() // an io.Pipe closes without error
	if len(h.buf) > 0 {
		_, _ = h.rest.Write(h.buf) // the last words of a program that is no worker
	}
}

// pluginLogger hands go-plugin's log to a slog.Logger.
func pluginLogger(logger *slog.Logger) hclog.Logger {
	l := hclog.NewInterceptLogger(&hclog.LoggerOptions{Name: "worker", Level: hclog.Trace, Output: io.Discard})
	l.RegisterSink(slogSink{logger})
	return l
}

// slogSink is a hclog.SinkAdapter.
type slogSink struct{ logger *slog.Logger }

var slogLevels = map[hclog.Level]slog.Level{
	hclog.Trace: slog.LevelDebug - 4,
	hclog.Debug: slog.LevelDebug,
	hclog.Info:  slog.LevelInfo,
	hclog.Warn:  slog.LevelWarn,
	hclog.Error: slog.LevelError,
}

func (s slogSink) Accept(name string, level hclog.Level, msg string, args ...any) {
	s.logger.With("logger", name).Log(context.Background(), slogLevels[level], msg, args...)
}
