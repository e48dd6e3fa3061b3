// Command interpreters runs code that means no good, and shows that nobody but its own interpreter notices:
//
//   - a guest that eats memory, loops, recurses without end or exits is the end of one interpreter, and the program hears why;
//   - files, environment and network are not there, because nobody has granted them;
//   - a loop that looks at its ctx is cancelled, and its interpreter used again;
//   - a queue feeds two interpreters at once.
//
// The guest is a worker's main package, guest/main.go, and is built for WebAssembly by the Go toolchain alone:
//
//	GOOS=wasip1 GOARCH=wasm go build -o guest.wasm ./examples/interpreters/guest
//	go run ./examples/interpreters guest.wasm
//
// The first run compiles it to machine code, which takes a second. That is kept in the user's cache folder, or where -cache says: whoever
// can write there can have this program run what they want.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"time"

	"github.com/seed7d1be1d5/concurrent/examples/interpreters/tasks"
	"github.com/seed7d1be1d5/concurrent/futures"
	"github.com/seed7d1be1d5/concurrent/interpreters"
	"github.com/seed7d1be1d5/concurrent/worker"
)

func main() {
	cache := flag.String("cache", defaultCache(), "keep compiled code in `DIR`; empty means nowhere")
	flag.Usage = func() {
		fmt.Fprintln(os.Stderr, "usage: interpreters [-cache DIR] guest.wasm")
		flag.PrintDefaults()
	}
	flag.Parse()
	if flag.NArg() != 1 {
		flag.Usage()
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, flag.Arg(0), *cache)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "interpreters:", err)
		os.Exit(1)
	}
}

func defaultCache() string {
	dir, err := os.UserCacheDir()
	if err != nil {
		return ""
	}
	return filepath.Join(dir, "concurrent")
}

func run(ctx context.Context, file, cache string) error {
	wasm, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	begin := time.Now()
	image, err := interpreters.Load(ctx, wasm, interpreters.ImageConfig{CacheDir: cache})
	if err != nil {
		return err
	}
	defer image.Close() //nolint:errcheck // it is closed once
	fmt.Printf("%s: %.1f MB, ready after %v\n", filepath.Base(file), float64(len(wasm))/1e6, time.Since(begin).Round(time.Millisecond))
	for _, show := range []func(context.Context, *interpreters.Image) error{hostile, cancelled, fed} {
		if err := show(ctx, image); err != nil {
			return err
		}
	}
	return nil
}

// modest is what each guest may have: no file, no environment, no network.
var modest = interpreters.Config{MemoryLimit: 32 << 20, Grace: 50 * time.Millisecond}

// A misdeed is something that a guest tries. Only one needs a limit of its time.
type misdeed struct {
	name  string
	limit time.Duration
	try   func(context.Context, *interpreters.Interpreter) error
}

func calling[In, Out any](name string, limit time.Duration, fn futures.Func[In, Out], in In) misdeed {
	return misdeed{name, limit, func(ctx context.Context, ip *interpreters.Interpreter) error {
		_, err := interpreters.Call(ctx, ip, fn, in)
		return err
	}}
}

// hostile has guests do their worst, each in an interpreter of its own.
func hostile(ctx context.Context, image *interpreters.Image) error {
	fmt.Println("\nHostile guests, with 32 MiB each")
	secret, err := os.CreateTemp("", "secret")
	if err != nil {
		return err
	}
	defer os.Remove(secret.Name()) //nolint:errcheck // an empty file in the folder for such
	defer secret.Close()           //nolint:errcheck // nothing was written
	door, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer door.Close() //nolint:errcheck // nobody came

	for _, m := range []misdeed{
		calling("eats memory", time.Minute, tasks.Eat, struct{}{}),
		calling("loops", 200*time.Millisecond, tasks.Loop, struct{}{}),
		calling("recurses", time.Minute, tasks.Recurse, 0),
		calling("exits", time.Minute, tasks.Exit, 3),
		calling("reads a file", time.Minute, tasks.Read, secret.Name()),
		calling("writes a file", time.Minute, tasks.Write, secret.Name()),
		calling("dials", time.Minute, tasks.Dial, door.Addr().String()),
	} {
		fate, err := attempt(ctx, image, m)
		if err != nil {
			return err
		}
		fmt.Printf("  %-14s %s\n", m.name, fate)
	}
	ip, err := interpreters.Create(ctx, image, modest)
	if err != nil {
		return err
	}
	seen, err := interpreters.Call(ctx, ip, tasks.Environ, struct{}{})
	fmt.Printf("  %-14s %d of %d variables\n", "looks around", len(seen), len(os.Environ()))
	return errors.Join(err, ip.Close())
}

// attempt tries m, and says what became of it.
func attempt(ctx context.Context, image *interpreters.Image, m misdeed) (string, error) {
	ip, err := interpreters.Create(ctx, image, modest)
	if err != nil {
		return "", err
	}
	defer ip.Close() //nolint:errcheck // it is idle, or dead
	short, cancel := context.WithTimeout(ctx, m.limit)
	defer cancel()
	err = m.try(short, ip)
	var died *interpreters.Died
	var failed *interpreters.ExecutionFailed
	switch {
	case ctx.Err() != nil:
		return "", context.Cause(ctx)
	case errors.As(err, &died):
		return strings.TrimPrefix(died.Error(), "interpreters: "), nil
	case errors.As(err, &failed):
		return "refused: " + failed.Excinfo.Msg, nil
	default:
		return "", fmt.Errorf("%s: it could: %w", m.name, err)
	}
}

// cancelled stops a computation, and uses its interpreter again.
func cancelled(ctx context.Context, image *interpreters.Image) error {
	fmt.Println("\nA loop is cancelled, and its interpreter used again")
	ip, err := interpreters.Create(ctx, image, interpreters.Config{Grace: time.Second})
	if err != nil {
		return err
	}
	defer ip.Close() //nolint:errcheck // it is idle
	short, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
	defer cancel()
	_, err = interpreters.Call(short, ip, tasks.Primes, math.MaxInt)
	if !errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("it was not cancelled: %w", err)
	}
	fmt.Printf("  %v: primes below %d: %v\n", ip, math.MaxInt, context.DeadlineExceeded)
	count, err := interpreters.Call(ctx, ip, tasks.Primes, 10_000)
	if err != nil {
		return err
	}
	fmt.Printf("  %v: primes below 10000: %d\n", ip, count)
	return nil
}

// fed has two interpreters take numbers from one queue and put their squares into another.
func fed(ctx context.Context, image *interpreters.Image) error {
	const numbers = 1000
	fmt.Println("\nA queue feeds two interpreters")
	todo, done := interpreters.CreateQueue(10), interpreters.CreateQueue(0)
	defer todo.Close() //nolint:errcheck // it is closed once
	defer done.Close() //nolint:errcheck // it is closed once
	pool, err := interpreters.NewPool(interpreters.PoolConfig{Image: image, MaxWorkers: 2, Interpreter: modest})
	if err != nil {
		return err
	}
	defer pool.Close() //nolint:errcheck // it has nothing to report

	ctx, cancel := context.WithCancel(ctx) // so that nobody waits for numbers when this returns early
	defer cancel()
	line := tasks.Line{Numbers: worker.QueueOf(todo), Squares: worker.QueueOf(done)}
	workers := []*futures.Future[int]{futures.Submit(ctx, pool, tasks.Square, line), futures.Submit(ctx, pool, tasks.Square, line)}
	for range workers {
		if _, err := interpreters.GetAs[int](ctx, done); err != nil { // it is there
			return err
		}
	}
	for n := range numbers {
		if err := todo.Put(ctx, n+1); err != nil {
			return err
		}
	}
	for range workers {
		if err := todo.Put(ctx, 0); err != nil { // the end
			return err
		}
	}
	sum := 0
	for range numbers {
		square, err := interpreters.GetAs[int](ctx, done)
		if err != nil {
			return err
		}
		sum += square
	}
	var took [2]int
	for i, w := range workers {
		if took[i], err = w.Result(ctx); err != nil {
			return err
		}
	}
	fmt.Printf("  one squared %d numbers and the other %d: the sum is %d\n", took[0], took[1], sum)
	return nil
}
