package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
)

// A line is one line of the input, without its end.
type line struct {
	index int // from 0
	text  []byte
	err   error // why it was not read whole
}

// maxLine is more than a call can take, so a longer line would fail anyway.
const maxLine = 1 << 30

// readLines hands the lines of r to each until it returns false. A last line needs no end. A line that is too long is
// handed over with an error and without its text, so that input without any line ends does not fill the memory.
func readLines(r io.Reader, each func(line) bool) error {
	br := bufio.NewReaderSize(r, 256<<10)
	for index := 0; ; index++ {
		text, tooLong, err := readLine(br)
		if len(text) == 0 && !tooLong && errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		l := line{index: index, text: text}
		if tooLong {
			l = line{index: index, err: fmt.Errorf("longer than %d bytes", maxLine)}
		}
		if !each(l) || err != nil {
			return nil
		}
	}
}

// readLine returns the next line with its end, in memory of its own.
func readLine(br *bufio.Reader) (text []byte, tooLong bool, err error) {
	for {
		part, err := br.ReadSlice('\n')
		if len(text)+len(part) > maxLine {
			text, tooLong = nil, true
		}
		if !tooLong {
			text = append(text, part...)
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return text, tooLong, err
		}
	}
}

// countable is how large a file may be for its lines to be counted first.
const countable = 1 << 30

// countLines counts what is left of a regular file, without moving its offset. It reports false for anything else, whose
// length nobody knows.
func countLines(f *os.File) (n int64, ok bool) {
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() || info.Size() > countable {
		return 0, false
	}
	at, err := f.Seek(0, io.SeekCurrent)
	if err != nil {
		return 0, false
	}
	r := io.NewSectionReader(f, at, info.Size()-at)
	buf := make([]byte, 256<<10)
	last := byte('\n')
	for {
		got, err := r.Read(buf)
		if got > 0 {
			n += int64(bytes.Count(buf[:got], []byte{'\n'}))
			last = buf[got-1]
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return 0, false
		}
	}
	if last != '\n' {
		n++
	}
	return n, true
}
