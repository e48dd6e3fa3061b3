package tasks

import (
	"context"
	"crypto/sha256"
	"encoding/hex"

	"github.com/seed7d1be1d5/concurrent/futures"
)

// SHA256 hashes a text.
var SHA256 = futures.NewFunc("sha256", func(_ context.Context, text string) (string, error) {
	return hashed([]byte(text)), nil
})

func hashed(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}
