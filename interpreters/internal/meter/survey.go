package meter

// A block is what a label stands for: a block, a loop, one branch of an if, or the function.
type block struct {
	op     byte
	loop   int // its number among the function's loops
	atElse int // of an if: the path up to it
	atEnd  int // the longest path of those that jump to the end
}

// A path is the most code in bytes that can have been executed since the last unit; unreachable is none.
const unreachable = -1

// A function rewrites one function after another, in two passes: what the loops and calls are like, then where the units go.
type function struct {
	*module
	in     instruction
	blocks []block

	// What the first pass finds.
	declared  []byte // the groups of locals
	groups    uint32
	locals    uint32 // with parameters
	code      reader
	loops     []bool // whether a branch goes back to the loop
	entryLoop bool   // one of these is entered whenever the function is
	calls     bool

	// What the second pass writes.
	out     []byte
	copied  int // how far the code is in out
	path    int
	unit    []byte // what a unit is in code
	charges bool   // there are units, and the local that they use
	lengths bool   // there are charges by length, and the local that they use
}

// survey is the first pass: it checks the code and finds out about its loops.
func (f *function) survey(r *reader, params int) {
	at := r.at
	f.groups = uint32(r.count(2))
	declared := r.at
	total := uint64(params)
	for range f.groups {
		total += uint64(r.u32())
		readValueType(r)
		if r.err == nil && total > maxLocals {
			r.fail(at, "%d locals, at most %d are possible", total, maxLocals)
		}
		if r.err != nil {
			return
		}
	}
	f.locals, f.declared, f.code = uint32(total), r.b[declared:r.at], *r
	if f.module.locals += int(total); f.module.locals > 16*maxLocals+len(r.b) {
		r.fail(at, "more locals in all functions together than the module has bytes")
		return
	}
	f.loops, f.entryLoop, f.calls = f.loops[:0], false, false
	f.blocks = append(f.blocks[:0], block{})
	straight := true // what comes next is executed whenever the function is entered
	entryLoops := 0
	for len(f.blocks) > 0 && r.err == nil {
		at := r.at
		f.decode(r, &f.in)
		switch f.in.op {
		case opBlock, opLoop, opIf:
			b := block{op: f.in.op}
			if b.op == opLoop {
				b.loop = len(f.loops)
				f.loops = append(f.loops, false)
				if straight {
					entryLoops = len(f.loops)
				}
			}
			if f.blocks = append(f.blocks, b); len(f.blocks) > maxNesting {
				r.fail(at, "more than %d blocks in each other", maxNesting)
			}
			straight = straight && b.op != opIf
		case opElse:
			if b := f.block(0); b.op != opIf {
				r.fail(at, "an else without an if")
			} else {
				b.op = opElse
			}
		case opEnd:
			f.blocks = f.blocks[:len(f.blocks)-1]
		case opBr, opBrIf:
			straight = false
			f.readBranch(r, at, f.in.index)
		case opBrTable:
			straight = false
			for _, label := range f.in.labels {
				f.readBranch(r, at, label)
			}
		case opReturn, opUnreachable:
			straight = false
		case opCall, opCallIndirect:
			straight = false
			f.calls = true
		case opLocalGet, opLocalSet, opLocalTee:
			if f.in.index >= f.locals {
				r.fail(at, "there is no local %d", f.in.index)
			}
		}
	}
	r.done("the code of a function")
	for i, back := range f.loops {
		f.entryLoop = f.entryLoop || back && i < entryLoops
	}
}

// block is what a label stands for, counted from the innermost.
func (f *function) block(label uint32) *block { return &f.blocks[len(f.blocks)-1-int(label)] }

func (f *function) readBranch(r *reader, at int, label uint32) {
	if r.err != nil {
		return
	}
	if uint64(label) >= uint64(len(f.blocks)) {
		r.fail(at, "there is no label %d", label)
	} else if b := f.block(label); b.op == opLoop {
		f.loops[b.loop] = true
	}
}
