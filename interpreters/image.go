package interpreters

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/seed7d1be1d5/concurrent/interpreters/internal/meter"
	"github.com/seed7d1be1d5/concurrent/interpreters/internal/segments"
	"github.com/seed7d1be1d5/concurrent/ipc"
	"github.com/seed7d1be1d5/concurrent/ipc/abi"
)

// ImageConfig says how a module is loaded. The zero value is useful.
type ImageConfig struct {
	// CacheDir is a folder for compiled code: the next program that loads the same module compiles nothing. It is made if there is none, and
	// whoever can write there can have this program run what they want. Empty means that nothing is kept.
	CacheDir string

	// MaxMemory is the most that an interpreter of this image may be given, in bytes: see Config.MemoryLimit. Zero means 4 GiB, which is
	// all that WebAssembly can address.
	MaxMemory uint64

	// OnSlowPlatform says what to do where guests cannot be compiled. The zero value refuses.
	OnSlowPlatform SlowPolicy
}

// An Image is a module that is ready to run: what interpreters are created from. Its methods may be called by any number of goroutines.
type Image struct {
	*code
	closed bool // guarded by codes
}

// code is a compiled module. Images of the same bytes and settings share it: see [Load].
type code struct {
	key     codeKey
	ready   chan struct{} // closed when what follows is set
	err     error
	runtime wazero.Runtime          // of its own: compiling and closing the same module twice in one corrupts it
	cache   wazero.CompilationCache // which owns what is compiled; nil if there is none
	module  wazero.CompiledModule
	guest   bool // it has what Create needs

	leastMemory uint64 // in bytes: without it the module cannot be

	users int // images, interpreters, and those who wait for it; guarded by codes

	offer atomic.Pointer[offer] // what the last interpreter has said of itself
}

type codeKey struct {
	sum    [sha256.Size]byte
	config ImageConfig
}

// codes are the compiled modules that somebody uses.
var codes = struct {
	sync.Mutex
	byKey map[codeKey]*code
}{byKey: map[codeKey]*code{}}

// Load compiles a guest: a WebAssembly module that a main package with worker.Main is built into by GOOS=wasip1 GOARCH=wasm go build, or another
// module for WASI (see [ExecModule]). It is done once, no matter how often and by how many goroutines the same module is loaded at a time. ctx
// bounds the wait and not the work.
//
// The image is to be closed; its interpreters need not be by then.
func Load(ctx context.Context, wasm []byte, config ImageConfig) (*Image, error) {
	if config.OnSlowPlatform == RefuseSlow {
		if err := checkThisPlatform(); err != nil {
			return nil, err
		}
	}
	if config.MaxMemory == 0 || config.MaxMemory > math.MaxUint32 {
		config.MaxMemory = 1 << 32
	}
	key := codeKey{sha256.Sum256(wasm), config}
	codes.Lock()
	c := codes.byKey[key]
	if c == nil {
		own := slices.Clone(wasm) // the caller may change it when ctx has ended the wait
		c = &code{key: key, ready: make(chan struct{})}
		codes.byKey[key] = c
		go func() { // ends with the compilation, which cannot be stopped; whoever loads waits for it
			defer close(c.ready)
			defer func() {
				if r := recover(); r != nil { // of the compiler, which meets what strangers have made
					c.err = fmt.Errorf("%w: panic: %v", ErrImage, r)
				}
			}()
			c.err = c.compile(own)
		}()
	}
	c.users++
	codes.Unlock()
	select {
	case <-c.ready:
	case <-ctx.Done():
		go func() { // ends soon after the compilation
			<-c.ready
			c.release()
		}()
		return nil, context.Cause(ctx)
	}
	if c.err != nil {
		c.release()
		return nil, c.err
	}
	return &Image{code: c}, nil
}

// Close lets go of the image. Nothing can be created from it afterwards; interpreters that were, go on.
func (i *Image) Close() error {
	codes.Lock()
	closed := i.closed
	i.closed = true
	codes.Unlock()
	if closed {
		return fmt.Errorf("%w: already closed", ErrImage)
	}
	i.release()
	return nil
}

// retain is for what is made from the image, and is ended by release. The code is there as long as the image is not closed, and may be gone then.
func (i *Image) retain() error {
	codes.Lock()
	defer codes.Unlock()
	if i == nil || i.closed {
		return fmt.Errorf("%w: nil or closed", ErrImage)
	}
	i.users++
	return nil
}

// share is another image of the same code, to be closed on its own.
func (i *Image) share() (*Image, error) {
	if err := i.retain(); err != nil {
		return nil, err
	}
	return &Image{code: i.code}, nil
}

// checkGuest says why nothing can be created from the image.
func (i *Image) checkGuest() error {
	if i.guest {
		return nil
	}
	return fmt.Errorf("%w: not a guest: build a main package that calls worker.Main, with GOOS=wasip1 GOARCH=wasm go build and no -buildmode; ExecModule runs any other command", ErrImage)
}

// release lets go of the code, and frees it with its last user.
func (c *code) release() {
	codes.Lock()
	c.users--
	last := c.users == 0
	if last {
		delete(codes.byKey, c.key)
	}
	codes.Unlock()
	if last {
		c.free()
	}
}

// free frees what was compiled. No instance is left, so it cannot fail.
func (c *code) free() {
	if c.runtime != nil {
		_ = c.runtime.Close(context.Background())
	}
	if c.cache != nil {
		_ = c.cache.Close(context.Background())
	}
	c.runtime, c.cache = nil, nil
}

func (c *code) compile(wasm []byte) error {
	metered, err := meter.Rewrite(wasm, meter.Options{})
	if err != nil {
		return fmt.Errorf("%w: %w", ErrImage, err)
	}
	merged := segments.Merge(metered)
	err = c.compileWith(c.key.config.CacheDir, merged)
	if err != nil && c.cache != nil { // what is in there may be damaged
		c.free()
		err = c.compileWith("", merged)
	}
	return err
}

// compileWith compiles with a cache, unless dir is empty. It does so in this goroutine, where a panic of the compiler can be recovered, though
// several would be quicker.
func (c *code) compileWith(dir string, wasm []byte) (err error) {
	ctx := context.Background()
	config := wazero.NewRuntimeConfigCompiler()
	if c.key.config.OnSlowPlatform == AllowSlow {
		config = wazero.NewRuntimeConfig() // which compiles where it can
	}
	config = config.WithMemoryLimitPages(uint32(c.key.config.MaxMemory / pageSize))
	if dir != "" {
		cache, err := wazero.NewCompilationCacheWithDir(dir)
		if err != nil {
			return fmt.Errorf("%w: cache: %w", ErrImage, err)
		}
		c.cache = cache
		config = config.WithCompilationCache(cache)
	}
	c.runtime = wazero.NewRuntimeWithConfig(ctx, config)
	if err := errors.Join(offerWASI(ctx, c.runtime), offerHost(ctx, c.runtime)); err != nil {
		return err
	}
	if c.module, err = c.runtime.CompileModule(ctx, wasm); err != nil {
		return fmt.Errorf("%w: %w", ErrImage, err)
	}
	memory := c.module.ExportedMemories()["memory"]
	if memory == nil {
		return fmt.Errorf("%w: it does not export its memory, as WASI wants", ErrImage)
	}
	c.leastMemory = uint64(memory.Min()) * pageSize
	c.guest = isGuest(c.module)
	return nil
}

// exports are the functions of a guest, and what they take and give.
var exports = map[string]struct{ params, results []api.ValueType }{
	"_start":            {},
	"concurrent_buffer": {words(1), words(1)},
	"concurrent_call":   {[]api.ValueType{i32, i32, i64, i64, i64}, []api.ValueType{i64}},
	"concurrent_bind":   {words(1), []api.ValueType{i64}},
	"concurrent_exec":   {[]api.ValueType{i32, i64, i64}, []api.ValueType{i64}},
}

func isGuest(m wazero.CompiledModule) bool {
	found := m.ExportedFunctions()
	for name, want := range exports {
		f := found[name]
		if f == nil || !slices.Equal(f.ParamTypes(), want.params) || !slices.Equal(f.ResultTypes(), want.results) {
			return false
		}
	}
	return true
}

// An offer is what a guest offers.
type offer struct {
	encoded string // as the guest said it
	engine  bool
	byName  map[string]offered
}

// offered is a function of a guest, and its place.
type offered struct {
	ipc.Function
	index uint32
}

// parseOffer reads what a guest says of itself. All interpreters of an image mostly say the same.
func (c *code) parseOffer(encoded []byte) (*offer, error) {
	if o := c.offer.Load(); o != nil && o.encoded == string(encoded) {
		return o, nil
	}
	if len(encoded) > ipc.MaxHello { // one byte can stand for a whole function
		return nil, fmt.Errorf("%w: hello of %d bytes, at most %d are possible", ErrImage, len(encoded), ipc.MaxHello)
	}
	var hello abi.Hello
	if err := ipc.DecodeValue(encoded, &hello); err != nil {
		return nil, fmt.Errorf("%w: hello: %w", ErrImage, err)
	}
	if hello.ABI != abi.Version {
		return nil, fmt.Errorf("%w: the guest speaks version %d and this program version %d: build both from the same release", ErrImage, hello.ABI, abi.Version)
	}
	o := &offer{encoded: string(encoded), engine: hello.Engine, byName: make(map[string]offered, len(hello.Functions))}
	for i, fn := range hello.Functions {
		o.byName[fn.Name] = offered{fn, uint32(i)}
	}
	c.offer.Store(o)
	return o, nil
}

const i32, i64 = api.ValueTypeI32, api.ValueTypeI64
