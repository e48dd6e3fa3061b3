package interpreters_test

import (
	"context"
	_ "embed"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed7d1be1d5/concurrent/interpreters"
)

// words is a program in C: see words.c.
//
//go:embed testdata/words.wasm
var words []byte

func TestAProgramThatIsNotInGoRunsInTheSandbox(t *testing.T) {
	img, err := interpreters.Load(within(t), words, interpreters.ImageConfig{})
	require.NoError(t, err)
	defer img.Close()
	var out strings.Builder
	files := fstest.MapFS{"poem.txt": {Data: []byte("one two\nthree\n")}}

	require.NoError(t, interpreters.ExecModule(within(t), img, interpreters.Config{Stdin: strings.NewReader("a b c"), Stdout: &out}))
	require.NoError(t, interpreters.ExecModule(within(t), img, interpreters.Config{FS: files, Stdout: &out}, "words", "/poem.txt"))
	assert.Equal(t, "0 3 -\n2 3 /poem.txt\n", out.String())

	var died *interpreters.Died
	err = interpreters.ExecModule(within(t), img, interpreters.Config{}, "words", "/poem.txt")
	require.ErrorAs(t, err, &died, "no file was granted")
	assert.Equal(t, interpreters.Exit, died.Reason)
	assert.Equal(t, 1, died.ExitCode)
	assert.Equal(t, "words: cannot open /poem.txt\n", died.Stderr)

	err = interpreters.ExecModule(within(t), img, interpreters.Config{MemoryLimit: 16 << 20}, "words", "-eat")
	require.ErrorAs(t, err, &died)
	assert.Equal(t, 9, died.ExitCode, "malloc fails, and the program says so")

	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	err = interpreters.ExecModule(ctx, img, interpreters.Config{Grace: time.Hour}, "words", "-spin")
	require.ErrorAs(t, err, &died)
	assert.Equal(t, interpreters.Interrupted, died.Reason)
	assert.ErrorIs(t, err, context.DeadlineExceeded)

	err = interpreters.ExecModule(within(t), img, interpreters.Config{Fuel: 1000}, "words", "-spin")
	assert.ErrorIs(t, err, interpreters.ErrOutOfFuel)

	_, err = interpreters.Create(within(t), img, interpreters.Config{})
	assert.ErrorIs(t, err, interpreters.ErrImage, "it takes no calls")
	assert.ErrorIs(t, interpreters.ExecModule(within(t), image, interpreters.Config{}), interpreters.ErrImage, "it waits for calls")
}

// returns is a program that does nothing.
var returns = []byte("\x00asm\x01\x00\x00\x00" +
	"\x01\x04\x01\x60\x00\x00" + // a type: ()
	"\x03\x02\x01\x00" + // a function of it
	"\x05\x03\x01\x00\x01" + // a memory
	"\x07\x13\x02\x06memory\x02\x00\x06_start\x00\x00" +
	"\x0a\x04\x01\x02\x00\x0b")

// A closing ctx closes the image as soon as it is asked something.
type closing struct {
	context.Context
	image *interpreters.Image
}

func (c closing) Err() error {
	_ = c.image.Close() // it is asked more than once
	return nil
}

// The compilation goes on when ctx has ended the wait for it, and whoever loads the same module next gets what it makes.
func TestAModuleCanBeChangedWhenLoadHasReturned(t *testing.T) {
	gone, cancel := context.WithCancel(context.Background())
	cancel()
	mine := slices.Clone(words)
	_, _ = interpreters.Load(gone, mine, interpreters.ImageConfig{}) // it may be ready all the same
	clear(mine)
	img, err := interpreters.Load(within(t), words, interpreters.ImageConfig{})
	require.NoError(t, err)
	assert.NoError(t, img.Close())
}

func TestAnImageThatIsClosedMeanwhileIsThereUntilTheEnd(t *testing.T) {
	img, err := interpreters.Load(within(t), returns, interpreters.ImageConfig{})
	require.NoError(t, err)
	assert.NoError(t, interpreters.ExecModule(closing{within(t), img}, img, interpreters.Config{}))
	assert.ErrorIs(t, interpreters.ExecModule(within(t), img, interpreters.Config{}), interpreters.ErrImage)
	assert.ErrorIs(t, img.Close(), interpreters.ErrImage)
	_, err = interpreters.NewPool(interpreters.PoolConfig{Image: img})
	assert.ErrorIs(t, err, interpreters.ErrImage)
	assert.ErrorIs(t, interpreters.ExecModule(within(t), nil, interpreters.Config{}), interpreters.ErrImage)
}

// A module may have a function that runs when it is instantiated, before anything is called.
func TestAModuleThatLoopsAsItIsInstantiatedIsStopped(t *testing.T) {
	loops := []byte("\x00asm\x01\x00\x00\x00" +
		"\x01\x04\x01\x60\x00\x00" + // a type: ()
		"\x03\x02\x01\x00" + // a function of it
		"\x05\x03\x01\x00\x01" + // a memory
		"\x07\x13\x02\x06memory\x02\x00\x06_start\x00\x00" +
		"\x08\x01\x00" + // which is run at once
		"\x0a\x09\x01\x07\x00\x03\x40\x0c\x00\x0b\x0b") // loop: br 0
	img, err := interpreters.Load(within(t), loops, interpreters.ImageConfig{})
	require.NoError(t, err)
	defer img.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	err = interpreters.ExecModule(ctx, img, interpreters.Config{})
	var died *interpreters.Died
	require.ErrorAs(t, err, &died)
	assert.Equal(t, interpreters.Interrupted, died.Reason)
	assert.ErrorIs(t, err, context.DeadlineExceeded)
}
