package procpool

import (
	"errors"
	"fmt"

	"github.com/seed7d1be1d5/concurrent/ipc"
)

// A resultLimit is the longest result that this host takes from a worker, encoded, and which field says so.
type resultLimit struct {
	most  int
	field string
}

func (p *ProcessPoolExecutor) maxResult() resultLimit {
	bound := int64(p.maxBody())
	switch n := p.config.MaxResult; {
	case n != 0 && n <= bound:
		return resultLimit{int(n), "Config.MaxResult"}
	case bound < ipc.MaxBody:
		return resultLimit{int(bound), "Config.Limits.Memory"}
	default:
		return resultLimit{ipc.MaxBody, "Config.MaxResult"}
	}
}

// maxFrame is the longest frame of a worker in which there may be such a result, or the longest failure.
func (l resultLimit) maxFrame(maxBody uint32) uint32 {
	const around = ipc.MaxBody - ipc.MaxValue
	return min(uint32(max(l.most, ipc.MaxEnvelope)+around), maxBody)
}

// check holds a result against it that a worker has sent though it was told.
func (l resultLimit) check(result []byte) error {
	if len(result) > l.most {
		return fmt.Errorf("%w: a result of %d bytes is over the limit of %d: see %s", ipc.ErrProtocol, len(result), l.most, l.field)
	}
	return nil
}

// explain says of a frame that was too long for every result what bounds them.
func (l resultLimit) explain(err error) error {
	var tooLarge *ipc.TooLargeError
	if errors.As(err, &tooLarge) {
		return fmt.Errorf("%w; results may have up to %d: see %s", err, l.most, l.field)
	}
	return err
}
