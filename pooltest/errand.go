package pooltest

import (
	"context"
	"os"

	"github.com/vmihailenco/msgpack/v5"

	"github.com/seed7d1be1d5/concurrent/futures"
)

// A Point is where on its way something happens to a call.
type Point string

// The points at which code of the call's own runs. The first and the last are in the caller's process.
const (
	EncodeArg    Point = "encode argument"
	DecodeArg    Point = "decode argument"
	Run          Point = "run"
	EncodeResult Point = "encode result"
	DecodeResult Point = "decode result"
)

// An Errand is the argument of [Carry].
type Errand struct {
	Name   string  // what visitors of gates and entries of ledgers are called
	Ledger Ledger  // each start in a worker leaves an entry there; empty: it does not
	At     Point   // where Faults strike; empty: when it runs
	Faults []Fault // strike one after the other
	Load   []byte  // is carried along, there and back
}

// A Receipt is the result of [Carry].
type Receipt struct {
	Errand
	PID int // of the process in which it ran
}

// Carry carries an errand to a worker and back, and has its faults strike on the way.
var Carry = futures.NewFunc("pooltest.Carry", func(ctx context.Context, e Errand) (Receipt, error) {
	if e.At == "" || e.At == Run {
		if err := e.befall(ctx); err != nil {
			return Receipt{}, err
		}
	}
	return Receipt{e, os.Getpid()}, nil
})

// Funcs are what a worker offers so that [Carry] can run there: worker.Main(append(pooltest.Funcs(), ...)...).
func Funcs() []futures.Callable { return []futures.Callable{Carry} }

// befall strikes under the name of the errand.
func (e *Errand) befall(ctx context.Context) error {
	for _, f := range e.Faults {
		var err error
		switch f.Kind {
		case kindWait:
			err = stand(ctx, f.Text, e.Name)
		default:
			err = f.strike(ctx)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (e *Errand) pass(here Point) error {
	if e.At != here {
		return nil
	}
	return e.befall(context.Background())
}

// plainErrand and plainReceipt travel as they are.
type (
	plainErrand  Errand
	plainReceipt struct {
		Errand plainErrand
		PID    int
	}
)

// EncodeMsgpack runs in the caller's process.
func (e Errand) EncodeMsgpack(enc *msgpack.Encoder) error {
	if err := e.pass(EncodeArg); err != nil {
		return err
	}
	return enc.Encode((*plainErrand)(&e))
}

// DecodeMsgpack runs in the worker, and is the first thing of the call to run there.
func (e *Errand) DecodeMsgpack(dec *msgpack.Decoder) error {
	if err := dec.Decode((*plainErrand)(e)); err != nil {
		return err
	}
	if e.Ledger != "" {
		if _, err := e.Ledger.Enter(e.Name); err != nil {
			return err
		}
	}
	return e.pass(DecodeArg)
}

// EncodeMsgpack runs in the worker.
func (r Receipt) EncodeMsgpack(enc *msgpack.Encoder) error {
	if err := r.pass(EncodeResult); err != nil {
		return err
	}
	return enc.Encode(&plainReceipt{plainErrand(r.Errand), r.PID})
}

// DecodeMsgpack runs in the caller's process.
func (r *Receipt) DecodeMsgpack(dec *msgpack.Decoder) error {
	var p plainReceipt
	if err := dec.Decode(&p); err != nil {
		return err
	}
	*r = Receipt{Errand(p.Errand), p.PID}
	return r.pass(DecodeResult)
}
