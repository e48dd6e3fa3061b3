package meter

import "fmt"

// The host function a metered module calls, without parameters and results. A guest may import it itself and call it whenever
// it likes; for one that does not, Rewrite adds the import.
const (
	ImportModule = "interp"
	ImportName   = "tick"
)

// DefaultEvery makes a guest tick every 10 to 100 microseconds, for less than one percent of its time.
const DefaultEvery = 1 << 14

// MaxEvery keeps the counter within 32 bits, whatever one instruction is charged.
const MaxEvery = 1 << 30

// Options of Rewrite.
type Options struct {
	// Every is the number of units from one tick to the next, at most MaxEvery. Zero means DefaultEvery.
	Every uint32
}

// Rewrite returns the module with ticks in it. It keeps no reference to the given bytes, and is safe for concurrent use. Its
// error is a *RefusedError, or says that an option is out of range. Its result is deterministic, so that compilations of it can
// be cached by content.
func Rewrite(module []byte, opt Options) ([]byte, error) {
	if opt.Every == 0 {
		opt.Every = DefaultEvery
	}
	if opt.Every > MaxEvery {
		return nil, fmt.Errorf("meter: Every is %d, at most %d is possible", opt.Every, MaxEvery)
	}
	m, err := parse(module)
	if err != nil {
		return nil, err
	}
	m.every = opt.Every
	return m.encode()
}
