// Command hostile is a guest that does not use package worker, and keeps to none of what hosts and guests have agreed upon. Each of its
// functions is another breach; the environment says with what it begins.
package main

import (
	"os"
	"strings"
	"unsafe"

	"github.com/seed7d1be1d5/concurrent/ipc"
	"github.com/seed7d1be1d5/concurrent/ipc/abi"
)

//go:wasmimport interp serve
func serve(p uintptr32, size uint32)

//go:wasmimport interp take
func take(p uintptr32)

//go:wasmimport interp limits
func limits(p uintptr32)

//go:wasmimport interp host_call
func hostCall(name uintptr32, nameSize uint32, arg uintptr32, argSize uint32) uint32

//go:wasmimport interp queue_put
func queuePut(queue int64, p uintptr32, size uint32, unbound int32, ticket uint64) uint64

//go:wasmimport interp queue_get
func queueGet(queue int64, ticket uint64) uint64

//go:wasmimport interp queue_cancel
func queueCancel(ticket uint64)

//go:wasmimport interp queue_info
func queueInfo(queue int64, p uintptr32) uint32

//go:wasmimport wasi_snapshot_preview1 poll_oneoff
func pollOneoff(in, out uintptr32, n uint32, result uintptr32) uint32

//go:wasmimport wasi_snapshot_preview1 fd_read
func fdRead(fd int32, buffers uintptr32, n uint32, read uintptr32) uint32

//go:wasmimport wasi_snapshot_preview1 fd_fdstat_get
func fdStat(fd int32, p uintptr32) uint32

//go:wasmimport wasi_snapshot_preview1 path_open
func pathOpen(dir int32, lookup uint32, path uintptr32, size uint32, flags uint32, rights, inherited uint64, fdflags uint32, fd uintptr32) uint32

//go:wasmimport wasi_snapshot_preview1 fd_close
func fdClose(fd int32) uint32

//go:wasmimport wasi_snapshot_preview1 fd_renumber
func fdRenumber(from, to int32) uint32

//go:wasmimport wasi_snapshot_preview1 random_get
func randomGet(p uintptr32, size uint32) uint32

//go:wasmimport wasi_snapshot_preview1 fd_write
func fdWrite(fd int32, buffers uintptr32, n uint32, written uintptr32) uint32

//go:wasmimport wasi_snapshot_preview1 fd_pread
func fdPread(fd int32, buffers uintptr32, n uint32, offset uint64, read uintptr32) uint32

//go:wasmimport wasi_snapshot_preview1 fd_seek
func fdSeek(fd int32, offset int64, whence uint32, result uintptr32) uint32

//go:wasmimport wasi_snapshot_preview1 fd_filestat_set_size
func fdSetSize(fd int32, size uint64) uint32

type uintptr32 = uint32

// outside is an address that no memory of less than 4 GiB has.
const outside = 0xffff_fff0

// breaches are by the name of the function. The answer is the bytes, unless the breach has another.
var breaches = []struct {
	name string
	do   func() uint64
}{
	{"answer outside", func() uint64 { return outside<<32 | 100 }},
	{"answer empty", func() uint64 { return 0 }},
	{"answer of no kind", func() uint64 { return answer([]byte{99, 1, 2, 3}) }},
	{"answer cut", func() uint64 { return answer([]byte{abi.AnswerValue, 0xdb, 0xff, 0xff, 0xff, 0xff}) }},
	{"answer deep", func() uint64 { return answer([]byte("\x00" + strings.Repeat("\x91", 1<<20))) }},
	{"failure cut", func() uint64 { return answer([]byte{abi.AnswerFailure, 0x85}) }},
	{"failure of no kind", func() uint64 {
		b, _ := ipc.AppendValue([]byte{abi.AnswerFailure}, &ipc.Failure{Kind: "strange", Message: strings.Repeat("x", 1<<20)})
		return answer(b)
	}},
	{"failure long", func() uint64 { // of empty texts, which take more room than their byte
		return answer(long("\x01\x81\xa5codes", 0xa0))
	}},
	{"made-up queue", func() uint64 { return answer(ipc.AppendQueue([]byte{abi.AnswerValue}, 1)) }},
	{"serve outside", func() uint64 { serve(outside, 100); return 0 }},
	{"serve nothing", func() uint64 { serve(0, 0); return 0 }},
	{"take outside", func() uint64 { queuePut(1, 0, 1, 7, 0); take(outside); return 0 }},
	{"take nothing", func() uint64 { take(0); take(0); return nothing() }},
	{"limits outside", func() uint64 { limits(outside); return 0 }},
	{"host call outside", func() uint64 { hostCall(outside, 100, 0, 0); return 0 }},
	{"host call of nothing", func() uint64 { hostCall(0, 0, 0, 0); return nothing() }},
	{"queues", func() uint64 {
		for id := range int64(10) {
			queuePut(id, 0, 0, -5, 1)
			queueGet(-id, 1<<63|1)
			queueCancel(uint64(id))
			queueInfo(id, outside)
		}
		return nothing()
	}},
	{"queue outside", func() uint64 { queuePut(1, outside, 100, 0, 0); return 0 }},
	{"polls", func() uint64 {
		var room [1 << 10]byte
		p := uint32(uintptr(unsafe.Pointer(&room)))
		for _, n := range []uint32{0, 1, 2, 1 << 16, 1<<16 + 1, 1<<32 - 1} {
			for _, at := range []uint32{p, outside} {
				pollOneoff(at, outside, n, outside)
				pollOneoff(outside, at, n, outside)
			}
			fdRead(abi.Events, p, n, p)
			fdRead(abi.Events, outside, n, outside)
			fdStat(abi.Events, outside)
		}
		room[8] = 77 // a subscription of no kind
		pollOneoff(p, p, 1, p)
		return nothing()
	}},
	{"ask", func() uint64 { ask(); return nothing() }},
	{"take", func() uint64 {
		b := make([]byte, 6)
		take(at(unsafe.Pointer(&b[0])))
		return answer(b)
	}},
	{"files", func() uint64 { // how many can be open, and how many more when one was closed
		opened := [2]int{}
		last := int32(-1)
		for i := range opened {
			for opened[i] < 5000 {
				fd, ok := openFile()
				if !ok {
					break
				}
				last = fd
				opened[i]++
			}
			fdClose(last)
		}
		b, _ := ipc.AppendValue([]byte{abi.AnswerValue}, &opened)
		return answer(b)
	}},
	{"much randomness", func() uint64 {
		b := make([]byte, 32<<20)
		for range 20 {
			randomGet(at(unsafe.Pointer(&b[0])), uint32(len(b)))
		}
		return nothing()
	}},
	{"many buffers", func() uint64 {
		var n uint32
		b := make([]buffer32, 2000)
		if fdWrite(1, at(unsafe.Pointer(&b[0])), 2000, at(unsafe.Pointer(&n))) == 0 {
			return answer(nil)
		}
		for range 20 {
			fdWrite(2, at(unsafe.Pointer(&b[0])), 1000, at(unsafe.Pointer(&n)))
		}
		return nothing()
	}},
	{"host calls of much", func() uint64 {
		b := make([]byte, 32<<20)
		for range 20 {
			hostCall(0, 0, at(unsafe.Pointer(&b[0])), uint32(len(b)))
		}
		return nothing()
	}},
	{"more of the output", func() uint64 { // than to write to it
		b := make([]byte, 100)
		v := buffer32{at(unsafe.Pointer(&b[0])), uint32(len(b))}
		var n uint64
		could := []string{}
		if fdPread(1, at(unsafe.Pointer(&v)), 1, 0, at(unsafe.Pointer(&n))) == 0 {
			could = append(could, "read "+string(b[:n]))
		}
		if fdSeek(1, 0, 0, at(unsafe.Pointer(&n))) == 0 {
			could = append(could, "seek")
		}
		if fdSetSize(1, 0) == 0 {
			could = append(could, "cut")
		}
		b, _ = ipc.AppendValue([]byte{abi.AnswerValue}, &could)
		return answer(b)
	}},
	{"high descriptors", func() uint64 {
		fd, ok := openFile()
		if !ok {
			return answer(nil)
		}
		moved := []int{}
		for _, to := range []int32{20, 1 << 20, 1 << 24, -1} {
			if fdRenumber(fd, to) == 0 {
				fd = to
				moved = append(moved, int(to))
			}
		}
		b, _ := ipc.AppendValue([]byte{abi.AnswerValue}, &moved)
		return answer(b)
	}},
}

// ask calls a function that was granted, and leaves its answer.
func ask() {
	name, arg := []byte("ask"), []byte{0xc0}
	hostCall(at(unsafe.Pointer(&name[0])), uint32(len(name)), at(unsafe.Pointer(&arg[0])), uint32(len(arg)))
}

// long is the head and an array of 16 Mi elements of a byte each.
func long(head string, element byte) []byte {
	head += "\xdd\x01\x00\x00\x00"
	b := make([]byte, len(head)+16<<20)
	for i := copy(b, head); i < len(b); i++ {
		b[i] = element
	}
	return b
}

// openFile opens "file" in the folder that was granted.
func openFile() (fd int32, ok bool) {
	name := []byte("file")
	ok = pathOpen(3, 0, at(unsafe.Pointer(&name[0])), uint32(len(name)), 0, 2, 0, 0, at(unsafe.Pointer(&fd))) == 0
	return fd, ok
}

func at(p unsafe.Pointer) uintptr32 { return uint32(uintptr(p)) }

type buffer32 struct{ p, size uintptr32 }

func answer(b []byte) uint64 {
	kept = b
	return uint64(uintptr(unsafe.Pointer(unsafe.SliceData(b))))<<32 | uint64(len(b))
}

func nothing() uint64 { return answer([]byte{abi.AnswerValue, 0xc0}) }

var kept, room []byte

//go:wasmexport concurrent_buffer
func buffer(size uint32) uint32 {
	if os.Getenv("BUFFER") == "outside" {
		return outside
	}
	room = make([]byte, size+1)
	return uint32(uintptr(unsafe.Pointer(unsafe.SliceData(room))))
}

//go:wasmexport concurrent_call
func call(function, _ uint32, _, _, _ int64) uint64 { return breaches[function].do() }

//go:wasmexport concurrent_bind
func bind(uint32) uint64 { return nothing() }

//go:wasmexport concurrent_exec
func exec(_ uint32, _, _ int64) uint64 { return nothing() }

func main() {
	hello := abi.Hello{ABI: abi.Version}
	for _, b := range breaches {
		hello.Functions = append(hello.Functions, ipc.Function{Name: b.name})
	}
	encoded, err := ipc.AppendValue(nil, &hello)
	if err != nil {
		panic(err)
	}
	switch os.Getenv("HELLO") {
	case "garbage":
		encoded = []byte{0xc1}
	case "version":
		encoded, _ = ipc.AppendValue(nil, &abi.Hello{ABI: 99})
	case "long": // of empty functions
		encoded = long("\x82\xa3abi\x01\xa9functions", 0x80)
	case "outside":
		serve(outside, 8)
	case "ask":
		ask()
	case "return":
		return
	case "exit":
		os.Exit(4)
	case "panic":
		panic("at the start")
	case "spin":
		for i := 0; i >= 0; i++ {
			kept = encoded[:i&1]
		}
	case "block":
		select {}
	}
	serve(uint32(uintptr(unsafe.Pointer(unsafe.SliceData(encoded)))), uint32(len(encoded)))
}
