//go:build darwin || freebsd || netbsd || openbsd || dragonfly

package procpool

// A lifeline is nothing here: these systems kill nobody when a pipe ends.
type lifeline struct{}

func newLifeline(int) (*lifeline, error) { return nil, nil }

func (*lifeline) cut() {}
