package futures

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestOptionsOfACall(t *testing.T) {
	set := collectCall([]CallOption{Timeout(time.Second), nil, Retries(2), Timeout(time.Minute)})
	assert.Equal(t, &callSettings{timeout: time.Minute, retries: 2}, set, "the last of a kind counts")
}

func TestOptionsOfAMap(t *testing.T) {
	for _, tt := range []struct {
		name string
		opts []MapOption
		want mapSettings
	}{
		{"none", nil, mapSettings{buffersize: 1024}},
		{"a nil one", []MapOption{nil}, mapSettings{buffersize: 1024}},
		{"a small chunk", []MapOption{Chunksize(10)}, mapSettings{chunksize: 10, buffersize: 1024}},
		{"a big chunk", []MapOption{Chunksize(1000)}, mapSettings{chunksize: 1000, buffersize: 2000}},
		{"a buffer smaller than the chunk", []MapOption{Chunksize(10), Buffersize(3)}, mapSettings{chunksize: 10, buffersize: 3, ahead: true}},
		{"those of calls", []MapOption{Timeout(time.Second), Retries(1), Buffersize(1)},
			mapSettings{call: callSettings{timeout: time.Second, retries: 1}, buffersize: 1, ahead: true}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := collectMap(tt.opts)
			assert.NoError(t, err)
			assert.Equal(t, tt.want, got)
		})
	}
}

// rows E33 and P70
func TestWrongOptions(t *testing.T) {
	for text, opts := range map[string][]MapOption{
		"futures: Timeout: 0s is not positive":    {Timeout(0)},
		"futures: Retries: -1 is negative":        {Retries(-1)},
		"futures: Chunksize: 0 is less than 1":    {Chunksize(0)},
		"futures: Buffersize: -3 is less than 1":  {Buffersize(-3), Buffersize(3)},
		"futures: Chunksize: -10 is less than 1":  {Timeout(-1), Chunksize(-10)},
		"futures: Buffersize: -10 is less than 1": {Chunksize(-10), Buffersize(-10)},
	} {
		_, err := collectMap(opts)
		assert.EqualError(t, err, text)
	}
}

// test_shutdown::test_cancel_futures, row E50
func TestShutdownOptions(t *testing.T) {
	assert.False(t, CollectShutdown(nil).CancelFutures)
	assert.True(t, CollectShutdown([]ShutdownOption{CancelFutures()}).CancelFutures)
}
