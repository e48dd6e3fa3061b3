package meter

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func BenchmarkRewrite(b *testing.B) {
	wasm, err := goGuest()
	require.NoError(b, err)
	b.SetBytes(int64(len(wasm)))
	var metered []byte
	for b.Loop() {
		metered, err = Rewrite(wasm, Options{})
		require.NoError(b, err)
	}
	b.ReportMetric(float64(len(metered))/float64(len(wasm)), "size-ratio")
}

// compare runs something plain and metered in turn, and reports how much longer it takes metered: by the fastest of each, as whatever
// disturbs a run makes it slower. Both run at least 21 times. Ratios of single functions move by a fifth with where their machine code happens
// to lie.
func compare(b *testing.B, wasm []byte, run func(*guest)) {
	plain, err := start(b, wasm, nil)
	require.NoError(b, err)
	metered, err := Rewrite(wasm, Options{})
	require.NoError(b, err)
	counted, err := start(b, metered, nil)
	require.NoError(b, err)
	least := [2]time.Duration{time.Hour, time.Hour}
	rounds := uint64(0)
	for rounds < 21 || b.Loop() {
		for k, g := range []*guest{plain, counted} {
			start := time.Now()
			run(g)
			least[k] = min(least[k], time.Since(start))
		}
		rounds++
	}
	b.ReportMetric(float64(least[1])/float64(least[0]), "metered/plain")
	b.ReportMetric(least[0].Seconds()*1000, "plain-ms")
	b.ReportMetric(float64(counted.ticks)/float64(rounds), "ticks/round")
}

func BenchmarkMetering(b *testing.B) {
	wasm, err := goGuest()
	require.NoError(b, err)
	for i, job := range jobs {
		b.Run(job, func(b *testing.B) { compare(b, wasm, func(g *guest) { g.work(b, i) }) })
	}
	copies := one("i", "i", 0, cat([]byte{opLoop, noResult, opI32Const, 0, opI32Const, 32, opI32Const, 32, opMisc, miscMemoryCopy, 0, 0},
		downFrom(0), []byte{opEnd, opLocalGet, 0})...)
	for _, c := range []struct {
		name string
		src  source
		n    uint64
	}{
		{"tightest loop", tightLoop, 1e7},
		{"recursion", fibonacci, 28},
		{"loop of small copies", copies, 1e5},
	} {
		b.Run(c.name, func(b *testing.B) {
			compare(b, c.src.wasm(), func(g *guest) {
				_, err := g.call(c.n)
				require.NoError(b, err)
			})
		})
	}
}
