package worker

import (
	"sync"
	"unsafe"
)

// The functions of the host: see abi.Module.

//go:wasmimport interp serve
func hostServe(p unsafe.Pointer, size uint32)

//go:wasmimport interp limits
func hostLimits(p unsafe.Pointer)

//go:wasmimport interp self
func hostSelf() int64

//go:wasmimport interp interrupted
func hostInterrupted() uint32

//go:wasmimport interp listen
func hostListen()

//go:wasmimport interp host_call
func hostCall(name unsafe.Pointer, nameSize uint32, arg unsafe.Pointer, argSize uint32) uint32

//go:wasmimport interp take
func hostTake(p unsafe.Pointer)

// leaving is held from a call for which the host leaves something to be taken until it was. The host leaves one thing at a time, and making room for it
// may have to wait for the collector, when other goroutines run.
var leaving sync.Mutex

// take copies what the host has left to be taken. It is called with leaving held.
func take(size uint32) []byte {
	b := make([]byte, size)
	if size > 0 {
		hostTake(unsafe.Pointer(&b[0]))
	}
	return b
}

func address(b []byte) unsafe.Pointer { return unsafe.Pointer(unsafe.SliceData(b)) }
