package interpreters

import "io"

// An output is what the guest writes to, and nothing else: a file as it is wazero would let the guest read, cut and rewind.
//
// A guest may hand over millions of buffers in one call, so every one of them is paid for.
type output struct {
	in *instance
	to io.Writer // nil drops it
}

// Write is called by wazero, in the goroutine that runs the guest. It does not return if the guest is stopped.
func (o output) Write(p []byte) (int, error) {
	o.in.charge(unitsOfCall + uint64(len(p))/bytesMoved)
	if o.to == nil {
		return len(p), nil
	}
	return o.to.Write(p)
}
