package confine

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"io/fs"
	"math/bits"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func TestFirstLine(t *testing.T) {
	for line, want := range map[string][2]string{
		"#!/bin/sh\n":                   {"/bin/sh", ""},
		"#!/bin/sh":                     {"/bin/sh", ""},
		"#! \t/bin/sh\t-e -u \nmore":    {"/bin/sh", "-e -u"},
		"#!/usr/bin/env sh\n":           {"/usr/bin/env", "sh"},
		"#!/bin/\fsh\n":                 {"/bin/\fsh", ""}, // the kernel knows blanks and tabs
		"#!/bin/sh\r\n":                 {"/bin/sh\r", ""},
		"#!/bin/sh\x00/x y\n":           {"/bin/sh", ""},
		"#!sh\n":                        {},
		"#!\n":                          {},
		"#!":                            {},
		"":                              {},
		"/bin/sh\n":                     {},
		" #!/bin/sh\n":                  {},
		"#!/" + string(make([]byte, 3)): {"/", ""},
	} {
		interpreter, argument := firstLine(bytes.NewReader([]byte(line)))
		assert.Equal(t, want, [2]string{interpreter, argument}, "%q", line)
	}
	long := append([]byte("#!/"), bytes.Repeat([]byte("x"), 300)...)
	interpreter, _ := firstLine(bytes.NewReader(long))
	assert.Empty(t, interpreter, "part of a name")
	padded := append([]byte("#! /bin/busybox sh"), bytes.Repeat([]byte(" "), 300)...)
	interpreter, argument := firstLine(bytes.NewReader(padded))
	assert.Equal(t, [2]string{"/bin/busybox", "sh"}, [2]string{interpreter, argument}, "what is cut off is no part of a name")
}

func TestTheLoaderIsTheOneThatTheKernelExecutes(t *testing.T) {
	f, err := os.Open("/bin/sh")
	require.NoError(t, err)
	defer f.Close()
	read, err := elf.NewFile(f)
	require.NoError(t, err)
	want := ""
	for _, p := range read.Progs {
		if p.Type == elf.PT_INTERP {
			name := make([]byte, p.Filesz)
			_, err := p.ReadAt(name, 0)
			require.NoError(t, err)
			want = string(bytes.TrimRight(name, "\x00"))
		}
	}
	if bits.UintSize == 64 && read.Class != elf.ELFCLASS64 || bits.UintSize == 32 && read.Class != elf.ELFCLASS32 {
		want = ""
	}
	assert.Equal(t, want, loaderOf(f))
	self, err := os.Open("/proc/self/exe")
	require.NoError(t, err)
	defer self.Close()
	t.Log(loaderOf(self)) // there is one where the test was linked with C
}

// binaryThatNames is one that names a loader where the kernel reads it, and another for who believes what it says about the size of its words. Empty means none.
func binaryThatNames(native, foreign string) []byte {
	b := make([]byte, 0x1000)
	copy(b, elf.ELFMAG)
	if b[4] = byte(elf.ELFCLASS32); bits.UintSize == 32 {
		b[4] = byte(elf.ELFCLASS64)
	}
	b[5], b[6] = byte(elf.ELFDATA2LSB), 1
	put := func(at int64, n int, v int64) {
		var w [8]byte
		binary.LittleEndian.PutUint64(w[:], uint64(v))
		copy(b[at:], w[:n])
	}
	name := func(bits int, at int64, loader string) {
		l := layouts[bits]
		put(l.segments, bits/8, at)
		put(l.segmentSize, 2, l.size)
		put(l.segmentCount, 2, int64(min(1, len(loader))))
		put(at, 4, int64(elf.PT_INTERP))
		put(at+l.offset, bits/8, at+0x100)
		put(at+l.length, bits/8, int64(len(loader)+1))
		copy(b[at+0x100:], loader)
	}
	name(96-bits.UintSize, 0x400, foreign)
	name(bits.UintSize, 0x800, native)
	return b
}

func TestABinaryNamesNothingThatTheKernelDoesNotExecute(t *testing.T) {
	assert.Empty(t, loaderOf(bytes.NewReader(binaryThatNames("", "/etc/shadow"))))
	assert.Equal(t, "/lib/loader", loaderOf(bytes.NewReader(binaryThatNames("/lib/loader", ""))))
	assert.Empty(t, loaderOf(bytes.NewReader(binaryThatNames("lib/loader", ""))), "relative to what?")
	assert.Empty(t, loaderOf(bytes.NewReader(nil)))
	l := layouts[bits.UintSize]
	many := make([]byte, 1<<10)
	copy(many, elf.ELFMAG)
	binary.LittleEndian.PutUint16(many[l.segmentSize:], uint16(l.size))
	binary.LittleEndian.PutUint16(many[l.segmentCount:], 0xFFFF)
	reads := &counting{bytes: many}
	assert.Empty(t, loaderOf(reads))
	assert.LessOrEqual(t, reads.n, 3, "it looks for more segments than the kernel does")
}

// counting is a ReaderAt in which everything that is not there is zero.
type counting struct {
	bytes []byte
	n     int
}

func (c *counting) ReadAt(p []byte, at int64) (int, error) {
	c.n++
	copy(p, make([]byte, len(p)))
	if at < int64(len(c.bytes)) {
		copy(p, c.bytes[at:])
	}
	return len(p), nil
}

// Whatever a program names, nobody gets anything for it that is no binary, and nobody waits.
func TestWhatAProgramNamesIsABinary(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(text), mode))
		return path
	}
	sh, err := os.ReadFile("/bin/sh")
	require.NoError(t, err)
	secret := file("secret", "secret", 0o600)
	script := file("other", "#!/bin/sh\n", 0o755)
	notExecutable := file("data", string(sh), 0o644)
	lookalike := file("env", string(sh), 0o755)
	fifo := filepath.Join(dir, "fifo")
	require.NoError(t, unix.Mkfifo(fifo, 0o777))
	link := filepath.Join(dir, "link")
	require.NoError(t, os.Symlink(secret, link))
	for name, line := range map[string]string{
		"a secret":           "#!" + secret,
		"a link to it":       "#!" + link,
		"a folder":           "#!" + dir,
		"everything":         "#!/",
		"a fifo":             "#!" + fifo,
		"a device":           "#!/dev/zero",
		"another script":     "#!" + script,
		"a binary as data":   "#!" + notExecutable,
		"what is not there":  "#!/nowhere",
		"by env: a secret":   "#!/usr/bin/env " + secret,
		"by env: everything": "#!/usr/bin/env /",
		"by env: a fifo":     "#!/usr/bin/env " + fifo,
		"by env: a script":   "#!/usr/bin/env other",
		"by env: nothing":    "#!/usr/bin/env nothing",
		"as a loader":        string(binaryThatNames(secret, "")),
		"a fifo as a loader": string(binaryThatNames(fifo, "")),
	} {
		t.Run(name, func(t *testing.T) {
			list, err := interpreters(file("program", line+"\n", 0o755), dir)
			for _, path := range list {
				if err == nil {
					err = allow(-1, 0, grant{path: path, access: execute | readFile, binary: true}) // up to the rule, which would say nothing
				}
			}
			require.Error(t, err)
			assert.True(t, errors.Is(err, fs.ErrInvalid) || errors.Is(err, fs.ErrNotExist), "%v", err)
		})
	}
	list, err := interpreters(file("program", "#!"+lookalike+" "+secret+"\n", 0o755), dir)
	require.NoError(t, err)
	assert.NotContains(t, list, secret, "another program of the name of env looks nothing up")
	list, err = interpreters(file("program", "#!/usr/bin/env env\n", 0o755), dir)
	require.NoError(t, err)
	assert.Contains(t, list, lookalike)
	list, err = interpreters(fifo, dir)
	assert.Empty(t, list)
	assert.NoError(t, err, "its start says why")
}
