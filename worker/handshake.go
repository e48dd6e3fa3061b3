//go:build !wasip1

package worker

import (
	"fmt"
	"os"
	"slices"

	"github.com/seed7d1be1d5/concurrent/ipc"
)

func startedAsWorker() bool { return os.Getenv(ipc.CookieKey) == ipc.CookieValue }

// serve shakes hands with the host and serves until it lets go.
func serve(table offered) error {
	versions := os.Getenv("PLUGIN_PROTOCOL_VERSIONS")
	forgetHost()
	if err := checkVersion(versions); err != nil {
		return err
	}
	pipes, err := inherit()
	if err != nil {
		return err
	}
	if _, err := fmt.Println(ipc.HandshakeLine); err != nil {
		return fmt.Errorf("write the handshake line: %w", err)
	}
	features := []string{ipc.FeatureCancel}
	if pipes.claims != nil {
		features = append(features, ipc.FeatureClaims, ipc.FeatureChunk)
	}
	if pipes.ring != nil {
		features = append(features, ipc.FeatureRing)
		if ipc.Dozes() {
			features = append(features, ipc.FeatureDoze)
		}
	}
	if pipes.arena != nil {
		features = append(features, ipc.FeatureArena)
	}
	if pipes.dumps {
		features = append(features, ipc.FeatureDump)
	}
	hello := ipc.HelloParam{Protocol: ipc.Version, PID: os.Getpid(), Build: build(), Features: features, Functions: table.list}
	if _, err := pipes.responses.Write(ipc.AppendNotification(nil, ipc.Hello, hello)); err != nil {
		return fmt.Errorf("write hello: %w", err)
	}
	frames := ipc.NewReader(pipes.requests, ipc.MaxHello)
	welcome, err := readWelcome(frames)
	if err != nil {
		return err
	}
	frames.SetLimit(welcome.MaxBody)
	s := newSession(table, frames, newReadiness(pipes.requests), pipes.responses, welcome.ResultLimit())
	if slices.Contains(welcome.Features, ipc.FeatureClaims) {
		if s.claims, err = ipc.NewClaims(pipes.claims); err != nil {
			return err
		}
	}
	if slices.Contains(welcome.Features, ipc.FeatureRing) {
		if s.ring, err = ipc.NewRing(pipes.ring); err != nil {
			return err
		}
	}
	if slices.Contains(welcome.Features, ipc.FeatureArena) {
		if s.arena, err = ipc.NewWorkerArena(pipes.arena); err != nil {
			return err
		}
	}
	return s.serve()
}

func readWelcome(frames *ipc.Reader) (w ipc.WelcomeParam, err error) {
	body, err := frames.Next()
	if err != nil {
		return w, fmt.Errorf("read welcome: %w", err)
	}
	m, err := ipc.ParseMessage(body)
	if err != nil {
		return w, fmt.Errorf("read welcome: %w", err)
	}
	if m.Kind != ipc.KindNotification || string(m.Name) != ipc.Welcome {
		return w, fmt.Errorf("%w: expected welcome, got %q", ipc.ErrProtocol, body[:min(32, len(body))])
	}
	if err := ipc.DecodeParam(m.Value, &w); err != nil {
		return w, fmt.Errorf("read welcome: %w", err)
	}
	if w.Protocol != ipc.Version {
		return w, fmt.Errorf("%w: the host speaks version %d, this worker version %d", ipc.ErrProtocol, w.Protocol, ipc.Version)
	}
	return w, nil
}
