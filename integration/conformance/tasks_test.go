//go:build unix || wasip1

package conformance_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"runtime/pprof"
	"strings"
	"sync/atomic"
	"syscall"

	"github.com/vmihailenco/msgpack/v5"

	"github.com/seed7d1be1d5/concurrent/futures"
	"github.com/seed7d1be1d5/concurrent/ipc"
	"github.com/seed7d1be1d5/concurrent/threadpool"
	"github.com/seed7d1be1d5/concurrent/worker"
)

// errBoom is an error that keeps its identity wherever it was returned.
var errBoom = errors.New("boom")

func init() { worker.RegisterError("conformance.boom", errBoom) }

// tasks are what the workers of this package offer.
var tasks = []futures.Callable{power, divide, keywords, pass, suffer, greet, greeting, label, nested, openParcel, makeParcel,
	carry, collect, size, blob, answerAndDie, halfAnAnswer, fails, nilError, emptyError, deepPanic,
	leave, strange}

type pair struct{ A, B int }

// power is Python's pow, the favourite of its tests.
var power = futures.NewFunc("power", func(_ context.Context, p pair) (int, error) {
	n := 1
	for range p.B {
		n *= p.A
	}
	return n, nil
})

var errDivide = errors.New("division by zero")

// divide fails where Python's divmod does.
var divide = futures.NewFunc("divide", func(_ context.Context, p pair) (pair, error) {
	if p.B == 0 {
		return pair{}, errDivide
	}
	return pair{p.A / p.B, p.A % p.B}, nil
})

type keywordArgs struct {
	Self, Fn string
	Arg      int
}

var keywords = futures.NewFunc("keywords", func(_ context.Context, k keywordArgs) (keywordArgs, error) { return k, nil })

// A fate is what becomes of a call.
type fate string

const (
	passOn fate = "pass"   // it goes on
	fail   fate = "error"  // it returns errBoom
	panics fate = "panic"  // it panics
	goexit fate = "goexit" // it leaves by runtime.Goexit, which is Python's SystemExit: the way out that cleans up
	exits  fate = "exit"   // it exits the process
	killed fate = "kill"   // its process is killed
)

const exitCode = 7

// befall returns for passOn and fail only.
func befall(f fate) error {
	switch f {
	case passOn:
		return nil
	case fail:
		return errBoom
	case panics:
		panic("boom")
	case goexit:
		runtime.Goexit()
	case exits:
		os.Exit(exitCode)
	case killed:
		if err := syscall.Kill(os.Getpid(), syscall.SIGKILL); err != nil {
			return err
		}
		select {} // until the signal is there
	}
	return fmt.Errorf("no such fate: %q", f)
}

var suffer = futures.NewFunc("suffer", func(_ context.Context, f fate) (int, error) { return os.Getpid(), befall(f) })

// A standing is what stand is given.
type standing struct {
	Addr, Name string
	PID        int
}

type errand struct {
	Door, Name string
	Value      int
}

// pass stands at a door until it is let through, and returns its value.
var pass = futures.NewFunc("pass", func(ctx context.Context, e errand) (int, error) {
	f, err := stand(ctx, e.Door, e.Name, os.Getpid())
	if err != nil {
		return 0, err
	}
	return e.Value, befall(f)
})

var (
	greeted   atomic.Value // string: what the initializer was given
	greetings atomic.Int64 // how often it ran in this process
)

// A greetingCard is what greet is given.
type greetingCard struct {
	Word string
	Fate fate
}

// greet is an initializer.
var greet = futures.NewFunc("greet", func(_ context.Context, c greetingCard) (struct{}, error) {
	greeted.Store(c.Word)
	greetings.Add(1)
	return struct{}{}, befall(c.Fate)
})

type welcome struct {
	Word  string
	Count int
	PID   int
}

// greeting tells what the initializer left, from behind a door.
var greeting = futures.NewFunc("greeting", func(ctx context.Context, e errand) (welcome, error) {
	if _, err := stand(ctx, e.Door, e.Name, os.Getpid()); err != nil {
		return welcome{}, err
	}
	word, _ := greeted.Load().(string)
	return welcome{word, int(greetings.Load()), os.Getpid()}, nil
})

// label is the name of the worker goroutine in a threadpool.
var label = futures.NewFunc("label", func(ctx context.Context, e errand) (string, error) {
	if _, err := stand(ctx, e.Door, e.Name, os.Getpid()); err != nil {
		return "", err
	}
	name, _ := pprof.Label(ctx, "worker")
	return name, nil
})

// nested computes a power in a pool of its own, inside whatever worker it runs in.
var nested = futures.NewFunc("nested", func(ctx context.Context, p pair) (n int, err error) {
	pool, err := threadpool.New(threadpool.Config{MaxWorkers: 1})
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, pool.Close()) }()
	return futures.Submit(ctx, pool, power, p).Result(ctx)
})

// A parcel is something a weak pointer can watch.
type parcel struct{ Content [64]byte }

// openParcel takes a pointer and makeParcel returns one, so that a test can see who holds what they point to.
var openParcel = futures.NewFunc("openParcel", func(_ context.Context, p *parcel) (int, error) { return int(p.Content[0]), nil })

var makeParcel = futures.NewFunc("makeParcel", func(_ context.Context, n int) (*parcel, error) {
	return &parcel{[64]byte{byte(n)}}, nil
})

// A place is where on its way something happens to a value.
type place string

const (
	encodeArgument place = "encode argument"
	decodeArgument place = "decode argument"
	encodeResult   place = "encode result"
	decodeResult   place = "decode result"
)

// A trap is a value to which something happens at one place of its way.
type trap struct {
	Place place
	Fate  fate
}

// There is a type for each direction, and each knows its own places.
type (
	thither struct{ trap }
	hither  struct{ trap }
)

func (v thither) EncodeMsgpack(e *msgpack.Encoder) error  { return v.encode(e, encodeArgument) }
func (v *thither) DecodeMsgpack(d *msgpack.Decoder) error { return v.decode(d, decodeArgument) }
func (v hither) EncodeMsgpack(e *msgpack.Encoder) error   { return v.encode(e, encodeResult) }
func (v *hither) DecodeMsgpack(d *msgpack.Decoder) error  { return v.decode(d, decodeResult) }

func (t trap) encode(e *msgpack.Encoder, here place) error {
	if t.Place == here {
		if err := befall(t.Fate); err != nil {
			return err
		}
	}
	return e.EncodeString(string(t.Place) + ":" + string(t.Fate))
}

func (t *trap) decode(d *msgpack.Decoder, here place) error {
	s, err := d.DecodeString()
	if err != nil {
		return err
	}
	p, f, _ := strings.Cut(s, ":")
	*t = trap{place(p), fate(f)}
	if t.Place == here {
		return befall(t.Fate)
	}
	return nil
}

// carry carries a trap there and back.
var carry = futures.NewFunc("carry", func(_ context.Context, v thither) (hither, error) { return hither(v), nil })

// A keepsake is an argument that rings at a door when it is collected in the process that decoded it.
type keepsake struct{ Door string }

// collect drops a keepsake, or with an empty one has garbage collected.
var collect = futures.NewFunc("collect", func(_ context.Context, k *keepsake) (int, error) {
	if k.Door == "" {
		for range 3 { // what pools keep for one more round goes in the second
			runtime.GC()
		}
		return os.Getpid(), nil
	}
	runtime.AddCleanup(k, func(addr string) {
		conn, err := net.Dial("tcp", addr)
		if err == nil {
			_, _ = fmt.Fprintf(conn, "%d %q\n", os.Getpid(), "collected") // the test fails if nobody rings
			_ = conn.Close()
		}
	}, k.Door)
	return os.Getpid(), nil
})

var size = futures.NewFunc("size", func(_ context.Context, b []byte) (int, error) { return len(b), nil })

var blob = futures.NewFunc("blob", func(_ context.Context, n int) ([]byte, error) { return make([]byte, n), nil })

// answerAndDie writes its answer, the frame of n bytes, itself, and dies at once.
var answerAndDie = futures.NewFunc("answerAndDie", func(_ context.Context, n int) ([]byte, error) {
	return nil, errors.Join(answer(n, func(frame []byte) []byte { return frame }), befall(killed))
})

// halfAnAnswer does the same in the middle of it.
var halfAnAnswer = futures.NewFunc("halfAnAnswer", func(_ context.Context, n int) ([]byte, error) {
	return nil, errors.Join(answer(n, func(frame []byte) []byte { return frame[:len(frame)/2] }), befall(killed))
})

// answer writes what part leaves of the response to the first call of this process.
func answer(n int, part func(frame []byte) []byte) error {
	content := make([]byte, n)
	frame, err := ipc.AppendResult(nil, 1, &content, ipc.MaxBody)
	if err != nil {
		return err
	}
	for rest := part(frame); len(rest) > 0; {
		written, err := syscall.Write(ipc.FDResponses, rest)
		if err != nil && !errors.Is(err, syscall.EINTR) && !errors.Is(err, syscall.EAGAIN) {
			return err
		}
		rest = rest[max(written, 0):]
	}
	return nil
}

var fails = futures.NewFunc("fails", func(context.Context, int) (int, error) {
	return 0, fmt.Errorf("123: %w", errBoom)
})

// silent is an error without a text, and as a nil pointer still an error: Python's falsy exceptions.
type silent struct{}

func (*silent) Error() string { return "" }

var nilError = futures.NewFunc("nilError", func(context.Context, int) (int, error) { return 1, (*silent)(nil) })

var emptyError = futures.NewFunc("emptyError", func(context.Context, int) (int, error) { return 1, new(silent) })

var deepPanic = futures.NewFunc("deepPanic", func(context.Context, int) (int, error) { return whereItPanics(), nil })

//go:noinline
func whereItPanics() int { panic(fmt.Errorf("deep down: %w", errBoom)) }

// leave ends its process as if all were well.
var leave = futures.NewFunc("leave", func(context.Context, int) (int, error) {
	os.Exit(0)
	return 0, nil
})

// shy is an error whose own methods fail, and which cannot be encoded.
type shy struct{ Secret chan int }

func (*shy) Error() string                        { panic("ask somebody else") }
func (*shy) EncodeMsgpack(*msgpack.Encoder) error { return errors.New("not shareable") }
func (*shy) DecodeMsgpack(*msgpack.Decoder) error { return errors.New("not shareable") }

var strange = futures.NewFunc("strange", func(context.Context, int) (int, error) { return 0, &shy{} })
