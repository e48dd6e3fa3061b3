package meter_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed7d1be1d5/concurrent/interpreters/internal/meter"
)

func BenchmarkRewrite(b *testing.B) {
	wasm, err := goGuest()
	require.NoError(b, err)
	b.SetBytes(int64(len(wasm)))
	for b.Loop() {
		metered, err := meter.Rewrite(wasm, meter.Options{})
		require.NoError(b, err)
		b.ReportMetric(float64(len(metered))/float64(len(wasm)), "size-ratio")
	}
}

// BenchmarkMetering runs each job plain and metered in turn, and reports how much longer the metered one takes: by the fastest of each, as
// whatever disturbs a run makes it slower.
func BenchmarkMetering(b *testing.B) {
	wasm, err := goGuest()
	require.NoError(b, err)
	metered, err := meter.Rewrite(wasm, meter.Options{})
	require.NoError(b, err)
	plain, err := run(b, wasm)
	require.NoError(b, err)
	counted, err := run(b, metered)
	require.NoError(b, err)
	for i, job := range jobs {
		b.Run(job, func(b *testing.B) {
			least := [2]time.Duration{time.Hour, time.Hour}
			ticks := counted.ticks
			for b.Loop() {
				for k, g := range []*running{plain, counted} {
					start := time.Now()
					g.work(b, i)
					least[k] = min(least[k], time.Since(start))
				}
			}
			b.ReportMetric(float64(least[1])/float64(least[0]), "metered/plain")
			b.ReportMetric(least[0].Seconds()*1000, "plain-ms")
			b.ReportMetric(float64(counted.ticks-ticks)/float64(b.N), "ticks/op")
		})
	}
}
