//go:build linux

package faults_test

import (
	"fmt"
	"io"
	"slices"
	"syscall"

	"github.com/seed7d1be1d5/concurrent/ipc"
	"github.com/seed7d1be1d5/concurrent/pooltest"
)

// A nature is what a fault is to the process it strikes. The outcome of a cell depends on it.
type nature string

const (
	gives    nature = "gives up"   // the call's own code fails, and nothing else
	dies     nature = "dies"       // the process ends
	stalls   nature = "stalls"     // the process is there and does not get on
	breaches nature = "breaches"   // the process breaks the protocol
	deafens  nature = "deafens"    // the process cannot be reached any more, and does not know
	bears    nature = "bears with" // the process goes on
)

// A fault is a line of the grid.
type fault struct {
	name   string
	nature nature
	does   []pooltest.Fault

	// Of one that dies or breaches, the evidence.
	signal syscall.Signal
	code   int
	cause  error
	stderr string
}

const killed = syscall.SIGKILL

var faults = []fault{
	{name: "error", nature: gives, does: does(pooltest.Error("boom"))},
	{name: "panic", nature: gives, does: does(pooltest.Panic("boom"))},
	{name: "runtime.Goexit", nature: gives, does: does(pooltest.Goexit())},
	{name: "panic in another goroutine", nature: dies, does: does(pooltest.PanicElsewhere("boom")), code: 2, stderr: "panic: boom"},
	{name: "os.Exit(0)", nature: dies, does: does(pooltest.Exit(0))},
	{name: "os.Exit(3)", nature: dies, does: does(pooltest.Exit(3)), code: 3},
	{name: "SIGSEGV", nature: dies, does: does(pooltest.Segfault()), code: 2, stderr: "SIGSEGV"},
	{name: "SIGKILL", nature: dies, does: does(pooltest.Signal(killed)), signal: killed, code: -1},
	{name: "out of memory", nature: dies, does: does(pooltest.OutOfMemory()), code: 2, stderr: "out of memory"},
	{name: "stack overflow", nature: dies, does: does(pooltest.Overflow()), code: 2, stderr: "stack overflow"},
	{name: "exit, a grandchild holds the pipes", nature: dies, does: does(pooltest.Grandchild(), pooltest.Exit(3)), code: 3},
	{name: "half a frame", nature: dies, does: does(pooltest.HalfFrame()), cause: io.ErrUnexpectedEOF},
	{name: "garbage frame", nature: breaches, does: does(pooltest.Garbage()), signal: killed, code: -1, cause: ipc.ErrProtocol},
	{name: "oversize frame", nature: breaches, does: does(pooltest.Oversize()), signal: killed, code: -1, cause: ipc.ErrProtocol},
	{name: "SIGSTOP", nature: stalls, does: does(pooltest.Freeze())},
	{name: "closed lifeline", nature: deafens, does: does(pooltest.CloseLifeline())},
	{name: "fd exhaustion", nature: bears, does: does(pooltest.ExhaustFiles())},
	{name: "raw stdout flood", nature: bears, does: does(pooltest.Flood(1, floods))},
	{name: "endless stderr line", nature: bears, does: does(pooltest.Flood(2, floods))},
}

// floods is some times what a pipe and all buffers hold. A line of 1 GiB is longer and no different; TestAGibibyteInOneLine holds it.
const floods = 2 << 20

func does(f ...pooltest.Fault) []pooltest.Fault { return f }

// An outcome is what must become of the call that a fault strikes, and of its worker.
type outcome string

const (
	impossible outcome = "-"        // see why
	refused    outcome = "refused"  // the call fails with an error of its own, and its worker goes on
	lost       outcome = "lost"     // the call is lost with its worker and says how; it ran, so it is not run again
	spared     outcome = "spared"   // the worker is lost, and the call had not started: another worker runs it, unless the pool breaks
	answered   outcome = "answered" // the worker is lost, and what it had answered counts
	doomed     outcome = "doomed"   // the worker ends when it next looks for a call: what has started by then is answered or lost, the rest runs elsewhere
	overdue    outcome = "overdue"  // the call's Timeout ends it, with its worker and nothing else
	relieved   outcome = "relieved" // the worker does not start the call, so another one runs it; nobody loses anything
	unharmed   outcome = "unharmed" // all goes on
	unusable   outcome = "unusable" // the initializer failed, and so the pool is broken, with its reason
	planned    outcome = "planned"  // the worker was let go, and is no crash
	swept      outcome = "swept"    // the host is dead, and what it has started ends
)

// A point is a column of the grid: where a call is when the fault strikes.
type point struct {
	name  string
	when  string
	stage func(*scene) // brings the call there, and strikes
	of    map[nature]outcome

	except map[string]outcome // by the fault's name
	why    map[string]string  // impossible cells, by the nature's or the fault's name
}

const (
	onlyHere  = "no code of the call's runs in the worker here; what panics there is another goroutine"
	goroutine = "what can fail here is a goroutine that an earlier call has left: nobody hears of its error or misses it after Goexit, and its panic is one in another goroutine"
)

// points are in the order of a call's life.
var points = []point{
	{
		name:   "encode args",
		when:   "the caller encodes the argument in Submit, where its own methods run; what is not the caller's strikes the worker that would get the call",
		stage:  (*scene).whileEncoding,
		of:     of(refused, spared, spared, relieved, doomed, unharmed),
		except: map[string]outcome{"runtime.Goexit": impossible},
		why:    map[string]string{"runtime.Goexit": "it is the caller's own goroutine that leaves: there is no call"},
	},
	{
		name:  "write frame",
		when:  "the pool writes a request of 1 MiB, of which the worker has taken 4 KiB",
		stage: tapped(pooltest.WriteRequest), of: of(impossible, spared, spared, relieved, doomed, unharmed), why: whyGives(onlyHere),
	},
	{
		name:  "read frame",
		when:  "the worker has read half of the request",
		stage: tapped(pooltest.ReadRequest), of: of(impossible, spared, spared, relieved, doomed, unharmed), why: whyGives(onlyHere),
	},
	{
		name:  "decode args",
		when:  "the worker decodes the argument, where the type's own methods run: the call has started",
		stage: carried(pooltest.DecodeArg), of: of(refused, lost, lost, overdue, doomed, unharmed),
	},
	{
		name:  "initializer",
		when:  "the initializer runs in a new worker, and the call waits for that",
		stage: (*scene).initializing, of: of(unusable, unusable, unusable, unusable, doomed, unharmed),
	},
	{
		name:  "run",
		when:  "the function runs",
		stage: carried(pooltest.Run), of: of(refused, lost, lost, overdue, doomed, unharmed),
	},
	{
		name:  "encode result",
		when:  "the worker encodes the result, where the type's own methods run",
		stage: carried(pooltest.EncodeResult), of: of(refused, lost, lost, overdue, doomed, unharmed),
	},
	{
		name:  "write result",
		when:  "the worker writes a response of 1 MiB, of which the pool has 4 KiB; bytes that are written now are taken for the rest of it",
		stage: tapped(pooltest.WriteResult), of: of(impossible, lost, overdue, overdue, doomed, unharmed), why: whyGives(onlyHere),
	},
	{
		name:  "read result",
		when:  "the response is written as a whole, and the pool reads it",
		stage: tapped(pooltest.ReadResult), of: of(impossible, answered, answered, answered, doomed, unharmed), why: whyGives(onlyHere),
	},
	{
		name:  "decode result",
		when:  "the pool decodes the result, where the type's own methods run; what is not theirs strikes the worker meanwhile",
		stage: (*scene).whileDecoding, of: of(refused, answered, answered, answered, doomed, unharmed),
	},
	{
		name:  "between calls",
		when:  "the worker has nothing to do, and is then sent the call",
		stage: (*scene).betweenCalls, of: of(impossible, spared, spared, relieved, doomed, unharmed), why: whyGives(goroutine),
	},
	{
		name:  "drain",
		when:  "the function runs in a pool that was told to shut down",
		stage: (*scene).draining, of: of(refused, lost, lost, overdue, doomed, unharmed),
	},
	{
		name:  "shutdown",
		when:  "the worker was let go, for good or because it is recycled, and has not heard of it",
		stage: (*scene).lettingGo, of: of(impossible, planned, planned, planned, planned, planned), why: whyGives(onlyHere),
	},
	{
		name:  "host death",
		when:  "the host is killed by SIGKILL right after; in the recycling variants, and before a breach of the protocol, it is stopped first",
		stage: (*scene).hostDying, of: of(impossible, impossible, swept, swept, swept, swept),
		except: map[string]outcome{"exit, a grandchild holds the pipes": swept},
		why: map[string]string{
			string(gives): "the call is over and its worker idle: " + heldBy("TestWorkersDoNotOutliveTheirHost") + " has idle ones",
			string(dies):  "the worker is gone before its host",
		},
	},
}

// of says what becomes of faults of each nature.
func of(gave, died, breached, stalled, deafened, bore outcome) map[nature]outcome {
	return map[nature]outcome{gives: gave, dies: died, breaches: breached, stalls: stalled, deafens: deafened, bears: bore}
}

func whyGives(reason string) map[string]string { return map[string]string{string(gives): reason} }

// A cell is a fault at a point.
type cell struct {
	fault   *fault
	point   *point
	outcome outcome
	why     string // it is impossible
}

// cells is the whole grid, a point after the other.
func cells() (all []cell) {
	for p := range points {
		for f := range faults {
			c := cell{fault: &faults[f], point: &points[p]}
			c.outcome = c.point.of[c.fault.nature]
			if o, ok := c.point.except[c.fault.name]; ok {
				c.outcome = o
			}
			if c.outcome == impossible {
				if c.why = c.point.why[c.fault.name]; c.why == "" {
					c.why = c.point.why[string(c.fault.nature)]
				}
			}
			all = append(all, c)
		}
	}
	return all
}

func (c cell) String() string { return c.point.name + "/" + c.fault.name }

// tests are those elsewhere that the table names.
var tests []string

// heldBy names a test; another test sees to it that there is one.
func heldBy(test string) string {
	if !slices.Contains(tests, test) {
		tests = append(tests, test)
	}
	return fmt.Sprintf("`%s`", test)
}

// elsewhere is what belongs to the subject and has a test of its own.
var elsewhere = []struct{ what, test string }{
	{"a line of 1 GiB on standard error, at the running call", "TestAGibibyteInOneLine"},
	{"every way to die and to breach the protocol while a call runs, with the evidence in full", "TestBreakPool"},
	{"a worker that takes the protocol apart: claims, answers, places in memory", "TestAHostileWorkerCostsItsOwnCalls"},
	{"a worker that does not shake hands", "TestAWorkerThatDoesNotShakeHandsIsAStartError"},
	{"what was answered counts, whatever the last thing is that was written", "TestATornAnswerCostsOneCall"},
	{"the same in chunks: each item has its own fate", "TestACrashInAChunkCostsOneItem"},
	{"calls that may be run again", "TestRetries"},
	{"workers that die one after the other", "TestWorkersThatKeepDyingBreakThePool"},
	{"a host that has no descriptors left, whichever a start takes is missing", "TestAHostWithoutDescriptorsSaysSo"},
	{"what needs no further descriptors goes on without them", "TestAPoolOutlivesItsHostsLackOfDescriptors"},
	{"a worker in a sandbox that does all it can to outlive its host", "TestAHostileWorkerEndsWithItsHost"},
	{"hosts that are killed while their workers are idle, busy, spinning and frozen", "TestWorkersDoNotOutliveTheirHost"},
	{"storms of the shortest calls while workers are killed", "TestStorm"},
	{"payloads of all sizes while workers are killed", "TestPayloadStorm"},
	{"all of it at random, for as long as one likes (`make soak`)", "TestSoak"},
}
