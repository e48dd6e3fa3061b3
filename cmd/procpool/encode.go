package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"unicode/utf16"

	"github.com/seed7d1be1d5/concurrent/internal/harmless"
)

// encode appends v as JSON, the same value with everything escaped that a reader cannot see, or a terminal obeys.
func encode(dst *bytes.Buffer, v any) error {
	start := dst.Len()
	enc := json.NewEncoder(dst)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		dst.Truncate(start)
		return err
	}
	dst.Truncate(dst.Len() - 1) // the end of line that Encode writes
	unseen := func(r rune) bool { return !harmless.Shown(r) }
	text := dst.Bytes()[start:]
	if !bytes.ContainsFunc(text, unseen) {
		return nil
	}
	text = bytes.Clone(text)
	dst.Truncate(start)
	for _, r := range string(text) {
		if !unseen(r) {
			dst.WriteRune(r)
			continue
		}
		for _, unit := range utf16.AppendRune(nil, r) { // it is part of a text, which has a form for it
			fmt.Fprintf(dst, `\u%04x`, unit)
		}
	}
	return nil
}
