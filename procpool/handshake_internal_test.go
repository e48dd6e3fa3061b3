package procpool

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"io"
	"log/slog"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed7d1be1d5/concurrent/ipc"
)

// shakeWith has go-plugin make of it what a worker has printed before it closed its standard output.
func shakeWith(said []byte) (rest []byte, err error) {
	p := &process{exited: make(chan struct{})}
	defer close(p.exited)
	handshake, line := io.Pipe()
	var out bytes.Buffer
	filter := &handshakeFilter{line: line, rest: &out}
	written := make(chan struct{})
	err = shake(Config{StartTimeout: time.Minute, Logger: slog.New(slog.DiscardHandler)}, "", func([]string) (*plugged, error) {
		go func() { // ends when go-plugin has read a line, or the end
			defer close(written)
			_, _ = filter.Write(said) // never fails
			filter.close()
		}()
		return &plugged{process: p, stdout: handshake}, nil
	})
	<-written
	return out.Bytes(), err
}

// certificate is what go-plugin's own plugins put into the sixth field, for a connection that has none here.
func certificate(t testing.TB) string {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	one := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, one, one, public, private)
	require.NoError(t, err)
	return base64.RawStdEncoding.EncodeToString(der)
}

func TestTheHandshakeLineIsAllThatGoPluginGets(t *testing.T) {
	resolver := net.DefaultResolver
	t.Cleanup(func() { net.DefaultResolver = resolver })
	net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		t.Error("a worker has this program ask for an address")
		return nil, net.ErrClosed
	}}
	for name, c := range map[string]struct {
		said, rest string
		err        error
		says       string // of errors of go-plugin's
	}{
		"as it should be":    {"one\n" + ipc.HandshakeLine + "\ntwo", "one\ntwo", nil, ""},
		"with a certificate": {ipc.HandshakeLine + "|" + certificate(t) + "\n", "", nil, ""},
		"with more fields":   {ipc.HandshakeLine + strings.Repeat("|true", 100) + "\n", "", nil, ""},
		"a name to look up":  {"1|1|tcp|worker.invalid:80|netrpc\n", "", ipc.ErrProtocol, ""},
		"another socket":     {"1|1|unix|/tmp/plugin1|netrpc\n", "", ipc.ErrProtocol, ""},
		"part of the name":   {"1|1|unix|descriptors|netrpc\n", "", ipc.ErrProtocol, ""},
		"no name":            {"1|1|unix||netrpc\n", "", ipc.ErrProtocol, ""},
		"another protocol":   {"1|1|unix|descriptors-3-and-4|grpc\n", "", nil, `protocol "grpc"`},
		"no protocol":        {"1|1|unix|descriptors-3-and-4\n", "", nil, `protocol ""`},
	} {
		t.Run(name, func(t *testing.T) {
			rest, err := shakeWith([]byte(c.said))
			if c.says == "" {
				require.ErrorIs(t, err, c.err)
			} else {
				require.ErrorContains(t, err, c.says)
			}
			assert.Equal(t, c.rest, string(rest))
		})
	}
}

// Whatever a worker prints before it has shaken hands, the host lives, and what is not the handshake is handed on.
func FuzzHandshake(f *testing.F) {
	f.Add([]byte(ipc.HandshakeLine + "\n"))
	f.Add([]byte("loading\n" + ipc.HandshakeLine + "|" + certificate(f) + "\nmore"))
	f.Add([]byte("1|1|tcp|worker.invalid:80|netrpc\n"))
	f.Add([]byte("1|1|unix|descriptors-3-and-4\n"))
	f.Add([]byte("1|1|unix|descriptors-3-and-4|grpc||true\r\n"))
	f.Add([]byte("-1|99999999999999999999|unix|x\n"))
	f.Fuzz(func(t *testing.T, said []byte) {
		rest, err := shakeWith(said)
		for line := range bytes.Lines(rest) {
			if !bytes.Contains(said, line) {
				t.Errorf("%q was not said", line)
			}
		}
		if err == nil && !bytes.Contains(said, []byte("|unix|descriptors-3-and-4|netrpc")) {
			t.Errorf("%q is taken for a handshake", said)
		}
	})
}
