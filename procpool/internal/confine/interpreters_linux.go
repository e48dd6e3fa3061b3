package confine

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/bits"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// A program says itself what the kernel is to run it with: its dynamic loader, or the interpreter of a script. Those it must be able to execute, whatever the box says. But
// it is the program that says so, and it is hostile: what it names gets no more than the right to be executed and read, by the path's descriptor, and only if it is a binary
// (see binaryAt). So there is nothing to be had by naming, in an odd way as well, what is none.

// interpreters are the binaries that the kernel executes to run a program: of a script its interpreter, with what env looks up for it in path; and the dynamic loader of each. None
// where the program cannot be read or is not understood: its start will say why.
func interpreters(program, path string) (list []string, err error) {
	f, err := openProgram(program)
	if err != nil {
		return nil, nil
	}
	defer func() { _ = f.Close() }() // it was never written
	if isBinary(f) {
		return appendLoader(nil, f), nil
	}
	interpreter, word := firstLine(f)
	if interpreter == "" {
		return nil, nil
	}
	if list, err = appendBinary(nil, interpreter); err != nil {
		return nil, fmt.Errorf("the interpreter of %s: %w", program, err)
	}
	if word != "" && isEnv(interpreter) {
		found, err := find(word, path)
		if err == nil {
			list, err = appendBinary(list, found)
		}
		if err != nil {
			return nil, fmt.Errorf("what %s looks up for %s: %w", interpreter, program, err)
		}
	}
	return list, nil
}

// appendBinary appends a binary, and its loader.
func appendBinary(list []string, path string) ([]string, error) {
	f, err := openProgram(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // it was never written
	if err := checkBinary(f, path); err != nil {
		return nil, err
	}
	return appendLoader(append(list, path), f), nil
}

func appendLoader(list []string, f io.ReaderAt) []string {
	if loader := loaderOf(f); loader != "" {
		list = append(list, loader)
	}
	return list
}

// layout is where a binary says what loaderOf asks for, in its header and in those of its segments. It is the native one: the kernel reads no other for a program that the filter
// lets run, whatever that says of itself.
type layout struct {
	segments, segmentSize, segmentCount int64 // in the header
	size, offset, length                int64 // of a segment's header, and in it
}

var layouts = map[int]layout{
	64: {32, 54, 56, 56, 8, 32},
	32: {28, 42, 44, 32, 4, 16},
}

// loaderOf is the dynamic loader that a binary names; empty if it names none. It reads what the kernel reads and as that does, which package elf, made for files that mean well, does not.
func loaderOf(f io.ReaderAt) string {
	l := layouts[bits.UintSize]
	const word, most = bits.UintSize / 8, 64 << 10 // bytes of segments
	at, size, count := number(f, l.segments, word), number(f, l.segmentSize, 2), number(f, l.segmentCount, 2)
	if size != l.size || count > most/size {
		return ""
	}
	for ; count > 0; count-- {
		if number(f, at, 4) == int64(elf.PT_INTERP) {
			return nameAt(f, number(f, at+l.offset, word), number(f, at+l.length, word))
		}
		at += size
	}
	return ""
}

// number reads one of so many bytes; negative if it is not there.
func number(f io.ReaderAt, at, bytes int64) int64 {
	var b [8]byte
	if _, err := f.ReadAt(b[:bytes], at); err != nil {
		return -1
	}
	return int64(binary.LittleEndian.Uint64(b[:])) // as on all processors that have a filter
}

// nameAt is the absolute path that is written there, up to a zero; empty if there is none.
func nameAt(f io.ReaderAt, at, size int64) string {
	if size < 2 || size > unix.PathMax {
		return ""
	}
	name := make([]byte, size)
	if n, _ := f.ReadAt(name, at); n < len(name) {
		return ""
	}
	text, _, ok := bytes.Cut(name, []byte{0})
	if !ok || !filepath.IsAbs(string(text)) {
		return ""
	}
	return string(text)
}

// firstLine is the absolute path with which a script names its interpreter, and what that gets as its first argument, as the kernel sees them. Both are empty if it is no script.
func firstLine(f io.ReaderAt) (interpreter, argument string) {
	head := make([]byte, 256) // of which the kernel sees no more either
	n, _ := f.ReadAt(head, 0)
	head, _, _ = bytes.Cut(head[:n], []byte{0})
	line, _, ended := bytes.Cut(head, []byte("\n"))
	names, ok := strings.CutPrefix(string(line), "#!")
	const blank = " \t"
	names = strings.TrimLeft(names, blank)
	if !ok || !ended && len(head) == cap(head) && !strings.ContainsAny(names, blank) { // part of a name
		return "", ""
	}
	names = strings.TrimRight(names, blank)
	if i := strings.IndexAny(names, blank); i >= 0 {
		names, argument = names[:i], strings.TrimLeft(names[i:], blank)
	}
	if !filepath.IsAbs(names) {
		return "", ""
	}
	return names, argument
}

// isEnv says whether an interpreter is the one that looks another one up.
func isEnv(path string) bool {
	info, err := os.Stat(path)
	if err != nil {
		return false
	}
	for _, env := range []string{"/usr/bin/env", "/bin/env"} {
		if known, err := os.Stat(env); err == nil && os.SameFile(info, known) && filepath.Base(path) == "env" {
			return true
		}
	}
	return false
}

// find looks a program up as env does.
func find(name, path string) (string, error) {
	if strings.Contains(name, "/") {
		return name, nil
	}
	for _, dir := range filepath.SplitList(path) {
		file := filepath.Join(dir, name)
		if info, err := os.Stat(file); filepath.IsAbs(dir) && err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
			return file, nil
		}
	}
	return "", fmt.Errorf("%q is not in PATH, %s: %w", name, path, fs.ErrNotExist)
}

// openProgram opens a regular file that may be executed, and nothing else: neither what blocks, nor what something comes of.
func openProgram(path string) (*os.File, error) {
	fd, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	defer func() { _ = unix.Close(fd) }() // it was never written
	return reopen(fd, path)
}

// reopen opens for reading what a descriptor without rights stands for, if it is a regular file that may be executed.
func reopen(fd int, path string) (*os.File, error) {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return nil, &fs.PathError{Op: "stat", Path: path, Err: err}
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG || st.Mode&0o111 == 0 {
		return nil, &fs.PathError{Op: "open", Path: path, Err: errNoBinary}
	}
	const flags = unix.O_RDONLY | unix.O_CLOEXEC | unix.O_NONBLOCK // not waiting for who has a lease
	again, err := unix.Open(fmt.Sprintf("/proc/self/fd/%d", fd), flags, 0)
	if errors.Is(err, unix.ENOENT) { // there is no /proc
		if again, err = unix.Open(path, flags|unix.O_NOCTTY, 0); err == nil {
			var now unix.Stat_t
			if err = unix.Fstat(again, &now); err == nil && (now.Dev != st.Dev || now.Ino != st.Ino) {
				err = errNoBinary // it was another one a moment ago
			}
			if err != nil {
				_ = unix.Close(again) // it was never written
			}
		}
	}
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	return os.NewFile(uintptr(again), path), nil
}

// errNoBinary refuses what a program names to be run with.
var errNoBinary = fmt.Errorf("it is no binary that can be executed, and must be one: %w", fs.ErrInvalid)

// binaryAt says whether a descriptor without rights stands for a binary that may be executed.
func binaryAt(fd int, path string) error {
	f, err := reopen(fd, path)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // it was never written
	return checkBinary(f, path)
}

func checkBinary(f *os.File, path string) error {
	if !isBinary(f) {
		return &fs.PathError{Op: "open", Path: path, Err: errNoBinary}
	}
	return nil
}

func isBinary(f io.ReaderAt) bool {
	head := make([]byte, len(elf.ELFMAG))
	_, err := f.ReadAt(head, 0)
	return err == nil && string(head) == elf.ELFMAG
}
