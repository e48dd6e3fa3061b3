package futures

import (
	"context"
	"fmt"
	"iter"
)

// Awaitable is what every *[Future] is, whatever its type, so that futures of different types can be awaited together.
type Awaitable interface {
	Done() <-chan struct{}
	State() State
	Cancel() bool
	Err(ctx context.Context) error
	String() string

	awaited() *settlement
}

// Until says what [Wait] waits for.
type Until uint8

const (
	AllCompleted   Until = iota // every future has its outcome
	FirstCompleted              // at least one has
	FirstError                  // one has failed, or every one has its outcome; a cancelled future has not failed (rows W5, W6)
)

// Wait waits until the condition holds, and sorts fs into those with an outcome and those without, each in the order of
// fs; a future given twice counts once (row W2). A cancelled future has its outcome at once.
//
// When ctx is done first the two lists are as good as always, and err is ctx's cause: Python's timeout. A condition that
// is already met wins over a done ctx. err also reports an unknown condition or a nil future; the lists are empty then.
func Wait[F Awaitable](ctx context.Context, fs []F, until Until) (done, pending []F, err error) {
	if until > FirstError {
		return nil, nil, fmt.Errorf("futures: Wait: unknown condition Until(%d)", until)
	}
	distinct, err := dedupe(fs)
	if err != nil {
		return nil, nil, fmt.Errorf("futures: Wait: %w", err)
	}
	settled := newInbox()
	for i, f := range distinct {
		f.awaited().await(waiter{settled, i})
	}
	defer func() {
		for _, f := range distinct {
			if f.awaited().isSettled() {
				done = append(done, f)
			} else {
				f.awaited().forget(settled)
				pending = append(pending, f)
			}
		}
	}()
	var arrived []int
	var over error // the ctx's cause, once it is done
	for left := len(distinct); left > 0; {
		arrived = settled.take(arrived)
		left -= len(arrived)
		for _, i := range arrived {
			s := distinct[i].awaited()
			if until == FirstCompleted || until == FirstError && s.State() == Finished && s.err != nil {
				return done, pending, nil
			}
		}
		if len(arrived) > 0 {
			continue
		}
		if over != nil {
			return done, pending, over
		}
		select {
		case <-settled.wake:
		case <-ctx.Done():
			over = context.Cause(ctx) // and look again: what is already there wins
		}
	}
	return done, pending, nil
}

// AsCompleted yields every distinct future of fs once, as its outcome arrives, those already there first (rows C1, C2).
// When ctx is done it still yields what has its outcome, unlike Python (row C6), and then a zero F with an
// *[UnfinishedError]. Breaking out leaves nothing behind at the futures. A nil future yields one error.
func AsCompleted[F Awaitable](ctx context.Context, fs []F) iter.Seq2[F, error] {
	return func(yield func(F, error) bool) {
		var zero F
		distinct, err := dedupe(fs)
		if err != nil {
			yield(zero, fmt.Errorf("futures: AsCompleted: %w", err))
			return
		}
		settled := newInbox()
		total := len(distinct)
		outstanding := make(map[int]F, total)
		for i, f := range distinct {
			outstanding[i] = f
			f.awaited().await(waiter{settled, i})
		}
		defer func() {
			for _, f := range outstanding {
				f.awaited().forget(settled)
			}
		}()
		var arrived []int
		var over error // the ctx's cause, once it is done
		for len(outstanding) > 0 {
			arrived = settled.take(arrived)
			for _, i := range arrived {
				f := outstanding[i]
				delete(outstanding, i)
				if !yield(f, nil) {
					return
				}
			}
			if len(arrived) > 0 {
				continue
			}
			if over != nil {
				yield(zero, &UnfinishedError{len(outstanding), total, over})
				return
			}
			select {
			case <-settled.wake:
			case <-ctx.Done():
				over = context.Cause(ctx) // and look again: what is already there wins
			}
		}
	}
}

// dedupe keeps the first of each future, and names the position of a nil one.
func dedupe[F Awaitable](fs []F) ([]F, error) {
	seen := make(map[*settlement]bool, len(fs))
	distinct := make([]F, 0, len(fs))
	for i, f := range fs {
		var s *settlement
		if any(f) != nil {
			s = f.awaited()
		}
		if s == nil {
			return nil, fmt.Errorf("future %d is nil", i)
		}
		if !seen[s] {
			seen[s] = true
			distinct = append(distinct, f)
		}
	}
	return distinct, nil
}
