package tasks

import (
	"bytes"
	"compress/gzip"
	"context"

	"github.com/seed7d1be1d5/concurrent/futures"
)

// Gzip compresses a text.
var Gzip = futures.NewFunc("gzip", func(_ context.Context, text string) ([]byte, error) {
	return gzipped([]byte(text))
})

func gzipped(data []byte) ([]byte, error) {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if _, err := w.Write(data); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}
