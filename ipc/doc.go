// Package ipc is the wire between a pool and its workers: frames, messages, values and claims. PROTOCOL.md describes the
// same in words; its constants are the ones of protocol.go.
//
//	host                                             worker
//	 requests, cancels ──▶ frames on fd 3 ──▶ reads, and ends when it ends
//	 reads responses   ◀── frames on fd 4 ◀── hello, then one response for each request
//	 queue, withdraw   ◀─▶ claims, fd 5   ◀─▶ start, finish
//
// The package starts no goroutine and opens no file: it is handed readers, writers and memory, and whoever made those
// closes them.
package ipc
