//go:build linux

package procpool_test

import (
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed7d1be1d5/concurrent/futures"
	"github.com/seed7d1be1d5/concurrent/ipc"
	"github.com/seed7d1be1d5/concurrent/procpool"
)

// hostileVar makes a worker shake hands and then do with its calls what it says.
const hostileVar = "PROCPOOL_TEST_HOSTILE"

func init() {
	if os.Getenv(ipc.CookieKey) == "" {
		return
	}
	if how := os.Getenv(hostileVar); how != "" {
		beHostile(how)
	}
}

// beHostile speaks the protocol up to the first call, by hand, and never returns.
func beHostile(how string) {
	fmt.Println(ipc.HandshakeLine)
	hello := ipc.HelloParam{Protocol: ipc.Version, PID: os.Getpid(), Functions: []ipc.Function{{Name: echo.Name()}, {Name: initialize.Name()}}}
	if how != "close the requests" {
		hello.Features = []string{ipc.FeatureClaims, ipc.FeatureCancel}
	}
	if strings.Contains(how, "place a result ") && how != "place a result without the feature" || how == "give the argument for the result" {
		hello.Features = append(hello.Features, ipc.FeatureArena)
	}
	if strings.Contains(how, "leave ") {
		hello.Features = append(hello.Features, ipc.FeatureRing)
	}
	writeRaw(ipc.AppendNotification(nil, ipc.Hello, hello))
	requests := os.NewFile(ipc.FDRequests, "requests")
	frames := ipc.NewReader(requests, ipc.MaxBody)
	if _, err := frames.Next(); err != nil { // welcome
		os.Exit(0)
	}
	if how == "close the requests" {
		if err := requests.Close(); err != nil {
			os.Exit(9)
		}
		select {}
	}
	var table syscall.Stat_t
	if err := syscall.Fstat(ipc.FDClaims, &table); err != nil {
		os.Exit(9)
	}
	memory, err := syscall.Mmap(ipc.FDClaims, 0, int(table.Size), syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_SHARED)
	if err != nil {
		os.Exit(9)
	}
	claims, err := ipc.NewClaims(memory)
	if err != nil {
		os.Exit(9)
	}
	var ring *ipc.Ring
	if slices.Contains(hello.Features, ipc.FeatureRing) {
		if err = syscall.Fstat(ipc.FDRing, &table); err != nil {
			os.Exit(9)
		}
		if memory, err = syscall.Mmap(ipc.FDRing, 0, int(table.Size), syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_SHARED); err != nil {
			os.Exit(9)
		}
		if ring, err = ipc.NewRing(memory); err != nil {
			os.Exit(9)
		}
	}
	leave := func(entries ...ipc.Entry) {
		for _, e := range entries {
			if !ring.Put(e) {
				os.Exit(9)
			}
		}
		if ring.Tell() {
			writeRaw(ipc.AppendNotification(nil, ipc.Ready, nil))
		}
	}
	for {
		body, err := frames.Next()
		if err != nil {
			os.Exit(0)
		}
		m, err := ipc.ParseMessage(body)
		if err != nil {
			os.Exit(9)
		}
		if m.Kind != ipc.KindRequest && m.Kind != ipc.KindPlacedRequest {
			continue
		}
		withdrawn := ipc.AppendFailure(nil, m.ID, ipc.Failure{Kind: ipc.FailedWithdrawn})
		none := ""
		answer, err := ipc.AppendResult(nil, m.ID, &none, ipc.MaxBody)
		if err != nil {
			os.Exit(9)
		}
		switch how {
		case "answer another call than the initializer":
			writeRaw(ipc.AppendFailure(nil, m.ID+7, ipc.Failure{Kind: ipc.FailedTask}))
		case "answer with another type":
			claims.Start(m.ID)
			if answer, err = ipc.AppendResult(nil, m.ID, &m.ID, ipc.MaxBody); err != nil {
				os.Exit(9)
			}
			claims.Finish(m.ID)
			writeRaw(answer)
		case "finish and say nothing":
			claims.Start(m.ID)
			claims.Finish(m.ID)
		case "withdraw by itself":
			claims.Withdraw(m.ID)
			writeRaw(withdrawn)
		case "say withdrawn of a call that is not":
			writeRaw(withdrawn)
		case "answer twice":
			claims.Start(m.ID)
			claims.Finish(m.ID)
			writeRaw(append(answer, answer...))
		case "leave rubbish behind an answer":
			claims.Start(m.ID)
			if m.ID > 1 {
				continue
			}
			claims.Finish(m.ID)
			leave(ipc.Entry{ID: m.ID, Result: ipc.ResultIn(answer)}, ipc.Entry{ID: m.ID + 1, Body: []byte("rubbish")})
		case "leave a result that is too long behind an answer":
			claims.Start(m.ID)
			if m.ID > 1 {
				continue
			}
			claims.Finish(m.ID)
			leave(ipc.Entry{ID: m.ID, Result: ipc.ResultIn(answer)}, ipc.Entry{ID: m.ID + 1, Result: ipc.ResultIn(resultOf(m.ID+1, lowLimit+1))})
		case "leave a result that is too long":
			claims.Start(m.ID)
			claims.Finish(m.ID)
			leave(ipc.Entry{ID: m.ID, Result: ipc.ResultIn(resultOf(m.ID, lowLimit+1))})
		case "leave a response whose result is too long":
			claims.Start(m.ID)
			claims.Finish(m.ID)
			leave(ipc.Entry{ID: m.ID, Body: ipc.Body(resultOf(m.ID, lowLimit+1))})
		case "write a result that is too long":
			claims.Start(m.ID)
			claims.Finish(m.ID)
			writeRaw(resultOf(m.ID, lowLimit+1))
		case "write a frame that is too long":
			claims.Start(m.ID)
			claims.Finish(m.ID)
			writeRaw(resultOf(m.ID, 2<<20))
		case "place a result that is too long":
			claims.Start(m.ID)
			claims.Finish(m.ID)
			writeRaw(ipc.AppendPlacedResult(nil, m.ID, ipc.Place{Offset: placedResult, Len: lowLimit + 1}))
		case "answer another call":
			writeRaw(ipc.AppendFailure(nil, m.ID+7, ipc.Failure{Kind: ipc.FailedTask}))
		case "notify without end":
			writeRaw(ipc.AppendNotification(nil, "good morning", strings.Repeat("x", ipc.MaxHello)))
		case "ask the host":
			writeRaw(ipc.AppendRequest(nil, m.ID, "give me a shell", ipc.Meta{}, []byte{0xC0}))
		case "place a result without the feature", "place a result before the arena":
			claims.Start(m.ID)
			writeRaw(ipc.AppendPlacedResult(nil, m.ID, ipc.Place{Offset: 0, Len: 8}))
		case "place a result beyond the arena":
			claims.Start(m.ID)
			writeRaw(ipc.AppendPlacedResult(nil, m.ID, ipc.Place{Offset: 64 << 20, Len: 1 << 30}))
		case "give the argument for the result":
			claims.Start(m.ID)
			writeRaw(ipc.AppendPlacedResult(nil, m.ID, m.Place))
		case "scribble over the claims":
			for i := range memory {
				memory[i] = 0xA5
			}
			os.Exit(4)
		}
	}
}

// placedResult is where the results begin in an arena of the default size.
const placedResult = 4096 + 32<<20

// lowLimit is the Config.MaxResult of pools that hear longer results.
const lowLimit = 1000

// resultOf is a frame with a text that takes n bytes, encoded.
func resultOf(id uint64, n int) []byte {
	head := 3
	if n > math.MaxUint16 {
		head = 5
	}
	text := strings.Repeat("x", n-head)
	frame, err := ipc.AppendResult(nil, id, &text, ipc.MaxBody)
	if err != nil || len(ipc.ResultIn(frame)) != n {
		os.Exit(9)
	}
	return frame
}

// Whatever a worker makes of the protocol, its calls are settled, its process is ended, and the pool says which it was.
func TestAHostileWorkerCostsItsOwnCalls(t *testing.T) {
	for how, says := range map[string]string{
		"close the requests":                  "closed its requests",
		"withdraw by itself":                  "against its claim",
		"say withdrawn of a call that is not": "against its claim",
		"answer another call":                 "not the oldest one",
		"ask the host":                        "sends no such message",
		"notify without end":                  "not a message",
		"place a result without the feature":  "sends no such message",
		"place a result before the arena":     "8 bytes at 0 of the arena",
		"place a result beyond the arena":     "1073741824 bytes at 67108864 of the arena",
		"give the argument for the result":    "of the arena",
		"scribble over the claims":            "exited with code 4",
	} {
		t.Run(how, func(t *testing.T) {
			clean(t)
			pool := newPool(t, procpool.Config{MaxWorkers: 1, Env: append(os.Environ(), hostileVar+"="+how)})
			large := strings.Repeat("x", 1<<20) // more than a pipe holds, so that nobody can leave it there
			_, err := futures.Submit(bounded(t), pool, echo, large).Result(bounded(t))
			var crash *procpool.WorkerCrashError
			require.ErrorAs(t, err, &crash)
			require.ErrorIs(t, err, procpool.ErrBrokenProcessPool)
			assert.ErrorContains(t, err, says)
			assert.Positive(t, crash.PID)
			if how != "scribble over the claims" {
				assert.ErrorIs(t, err, ipc.ErrProtocol)
			}
			mustClose(t, pool)
		})
	}
}

// A worker that sends a longer result than it was told to is ended, whichever way it goes, and its host does not decode it.
func TestAHostileWorkerThatAnswersAtLength(t *testing.T) {
	const tooLong = "a result of 1001 bytes is over the limit of 1000: see Config.MaxResult"
	for how, says := range map[string]string{
		"write a result that is too long":           tooLong,
		"write a frame that is too long":            "is over the limit of 1114112; results may have up to 1000: see Config.MaxResult",
		"leave a result that is too long":           tooLong,
		"leave a response whose result is too long": tooLong,
		"place a result that is too long":           tooLong,
	} {
		t.Run(how, func(t *testing.T) {
			clean(t)
			pool := newPool(t, procpool.Config{MaxWorkers: 1, MaxResult: lowLimit, Env: append(os.Environ(), hostileVar+"="+how)})
			_, err := futures.Submit(bounded(t), pool, echo, "").Result(bounded(t))
			var crash *procpool.WorkerCrashError
			require.ErrorAs(t, err, &crash)
			require.ErrorIs(t, err, ipc.ErrProtocol)
			require.ErrorIs(t, err, procpool.ErrBrokenProcessPool)
			assert.ErrorContains(t, err, says)
			assert.Positive(t, crash.PID)
			mustClose(t, pool)
		})
	}
}

// What comes after an answer breaks the protocol; the answer stands.
func TestABreachBehindAnAnswer(t *testing.T) {
	for how, says := range map[string]string{
		"answer twice":                                     "not the oldest one",
		"leave rubbish behind an answer":                   "not a message",
		"leave a result that is too long behind an answer": "a result of 1001 bytes is over the limit of 1000",
	} {
		t.Run(how, func(t *testing.T) {
			clean(t)
			pool := newPool(t, procpool.Config{MaxWorkers: 1, MaxResult: lowLimit, Env: append(os.Environ(), hostileVar+"="+how)})
			_, err := futures.Submit(bounded(t), pool, echo, "").Result(bounded(t))
			require.NoError(t, err)
			for err == nil { // until the breach has been read
				_, err = futures.Submit(bounded(t), pool, echo, "").Result(bounded(t))
			}
			assert.ErrorIs(t, err, procpool.ErrBrokenProcessPool)
			var crash *procpool.WorkerCrashError
			require.ErrorAs(t, err, &crash)
			assert.ErrorIs(t, crash, ipc.ErrProtocol)
			assert.ErrorContains(t, crash, says)
		})
	}
}

// A worker that writes down that it has finished does not switch off the call's timeout.
func TestAWorkerThatNeverAnswersIsKilledAfterTheTimeout(t *testing.T) {
	clean(t)
	pool := newPool(t, procpool.Config{
		MaxWorkers: 1, KillGrace: 100 * time.Millisecond, OnCrash: procpool.ReplaceWorker, Env: append(os.Environ(), hostileVar+"=finish and say nothing"),
	})
	_, err := futures.Submit(bounded(t), pool, echo, "", futures.Timeout(100*time.Millisecond)).Result(bounded(t))
	require.ErrorIs(t, err, futures.ErrTimeout)
	var crash *procpool.WorkerCrashError
	require.ErrorAs(t, err, &crash)
	assert.Equal(t, echo.Name(), crash.Func)
	mustClose(t, pool)
}

// A result of another type is its call's failure. It breaks nothing: the worker may have been built from other source.
func TestAHostileResultCostsItsCall(t *testing.T) {
	clean(t)
	pool := newPool(t, procpool.Config{MaxWorkers: 1, Env: append(os.Environ(), hostileVar+"=answer with another type")})
	for range 2 {
		_, err := futures.Submit(bounded(t), pool, echo, "").Result(bounded(t))
		require.ErrorIs(t, err, futures.ErrNotShareable)
		assert.ErrorContains(t, err, "the result of test.Echo")
		assert.NotErrorIs(t, err, procpool.ErrBrokenProcessPool)
	}
	assert.Equal(t, 1, pool.Stats().Started)
}

func TestAWorkerThatAnswersAnotherCallThanTheInitializer(t *testing.T) {
	clean(t)
	pool := newPool(t, procpool.Config{
		MaxWorkers: 1, Env: append(os.Environ(), hostileVar+"=answer another call than the initializer"), Initializer: futures.Bind(initialize, preparation{}),
	})
	_, err := futures.Submit(bounded(t), pool, echo, "").Result(bounded(t))
	var failed *procpool.InitializerError
	require.ErrorAs(t, err, &failed)
	assert.ErrorIs(t, err, ipc.ErrProtocol)
	assert.ErrorContains(t, err, "answered call 7, which it was not sent")
}

func TestAWorkerThatAnswersTheInitializerAtLength(t *testing.T) {
	for how, says := range map[string]string{
		"write a result that is too long": "a result of 1001 bytes is over the limit of 1000: see Config.MaxResult",
		"write a frame that is too long":  "results may have up to 1000: see Config.MaxResult",
	} {
		t.Run(how, func(t *testing.T) {
			clean(t)
			pool := newPool(t, procpool.Config{
				MaxWorkers: 1, MaxResult: lowLimit, Env: append(os.Environ(), hostileVar+"="+how), Initializer: futures.Bind(initialize, preparation{}),
			})
			_, err := futures.Submit(bounded(t), pool, echo, "").Result(bounded(t))
			var failed *procpool.InitializerError
			require.ErrorAs(t, err, &failed)
			assert.ErrorIs(t, err, ipc.ErrProtocol)
			assert.ErrorContains(t, err, says)
		})
	}
}

// Of one name, but not the same.
func TestAFuncOfOtherTypesIsRefused(t *testing.T) {
	clean(t)
	pool := newPool(t, procpool.Config{MaxWorkers: 1})
	_, err := futures.Submit(bounded(t), pool, futures.Declare[[]int, string](echo.Name()), nil).Result(bounded(t))
	require.ErrorIs(t, err, futures.ErrNotShareable)
	assert.ErrorContains(t, err, "test.Echo takes ")
	_, err = futures.Submit(bounded(t), pool, futures.Declare[string, []int](echo.Name()), "").Result(bounded(t))
	require.ErrorIs(t, err, futures.ErrNotShareable)
	assert.ErrorContains(t, err, "test.Echo returns ")
}
