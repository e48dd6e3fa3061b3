package tasks

import (
	"bytes"
	"context"
	"go/format"
	"go/parser"
	"go/token"
	"os"

	"github.com/seed7d1be1d5/concurrent/futures"
)

// A Formatted is what [Gofmt] finds out about a file.
type Formatted struct {
	Path      string `msgpack:"path"`
	Bytes     int    `msgpack:"bytes"`     // of the file
	Formatted int    `msgpack:"formatted"` // bytes after formatting
	Gzipped   int    `msgpack:"gzipped"`   // bytes of the formatted text after compression
	SHA256    string `msgpack:"sha256"`    // of the formatted text, in hexadecimal
}

// Gofmt parses a .go file, formats it, hashes the result and compresses it. The file stays as it is. One that does not
// parse is an error.
var Gofmt = futures.NewFunc("gofmt", func(_ context.Context, path string) (Formatted, error) {
	source, err := os.ReadFile(path)
	if err != nil {
		return Formatted{}, err
	}
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, path, source, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return Formatted{}, err
	}
	var text bytes.Buffer
	if err := format.Node(&text, files, file); err != nil {
		return Formatted{}, err
	}
	compressed, err := gzipped(text.Bytes())
	if err != nil {
		return Formatted{}, err
	}
	return Formatted{
		Path:      path,
		Bytes:     len(source),
		Formatted: text.Len(),
		Gzipped:   len(compressed),
		SHA256:    hashed(text.Bytes()),
	}, nil
})
