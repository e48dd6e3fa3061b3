package meter

const (
	// maxPath is how many bytes of code may be executed in a function without a unit.
	maxPath = 512

	// callCost is what a call counts in bytes of code, besides the units of the function it calls.
	callCost = 128

	// branchTableCost is what a br_table counts in bytes of code at most, however many labels it has.
	branchTableCost = 16
)

func (m *module) encodeCode(r *reader) []byte {
	n := r.count(3)
	own := m.functions[m.importedFunctions:]
	if n != len(own) {
		r.fail(r.at, "code of %d functions where %d are declared", n, len(own))
		return nil
	}
	dst := appendU32(make([]byte, 0, r.left()+r.left()/4), uint32(len(m.functions)))
	f := &function{module: m}
	for i := range n {
		body := r.part()
		f.read(body, m.types[own[i]].params)
		if body.err != nil {
			r.err = body.err
			return nil
		}
		dst = f.append(dst)
	}
	r.done("the code section")
	for i := range m.importedFunctions {
		dst = m.appendGate(dst, i)
	}
	return dst
}

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

// read is the first pass: it checks the code and finds out about its loops.
func (f *function) read(r *reader, params int) {
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

// workPerUnit is how far, as a shift, the last operand of an instruction is divided to get its units; zero if it has none.
func workPerUnit(misc byte) byte {
	switch misc {
	case miscMemoryInit, miscMemoryCopy, miscMemoryFill:
		return 6
	case miscTableInit, miscTableCopy, miscTableFill:
		return 3
	}
	return 0
}

// append is the second pass: it writes the function with units in it, and with its size before it.
func (f *function) append(dst []byte) []byte {
	r := &f.code
	f.out, f.copied, f.path = f.out[:0], r.at, 0
	f.unit, f.charges, f.lengths = f.appendUnit(f.unit[:0], f.locals), false, false
	f.blocks = append(f.blocks[:0], block{atEnd: unreachable})
	if f.calls && !f.entryLoop {
		f.charge(r.at)
	}
	loops := 0
	for len(f.blocks) > 0 {
		at := r.at
		f.decode(r, &f.in)
		f.step(r.at - at)
		switch in := &f.in; in.op {
		case opBlock, opLoop, opIf:
			f.blocks = append(f.blocks, block{op: in.op, atElse: f.path, atEnd: unreachable})
			if in.op == opLoop {
				if f.loops[loops] {
					f.charge(r.at)
				}
				loops++
			}
		case opElse:
			b := f.block(0)
			b.op = opElse
			b.atEnd = max(b.atEnd, f.path)
			f.path = b.atElse
		case opEnd:
			b := f.block(0)
			if f.path = max(f.path, b.atEnd); b.op == opIf {
				f.path = max(f.path, b.atElse)
			}
			f.blocks = f.blocks[:len(f.blocks)-1]
		case opBr, opBrIf:
			f.branch(in.index)
			if in.op == opBr {
				f.path = unreachable
			}
		case opBrTable:
			for _, label := range in.labels {
				f.branch(label)
			}
			f.path = unreachable
		case opReturn, opUnreachable:
			f.path = unreachable
		case opCall, opRefFunc:
			f.copy(at)
			f.out = appendU32(append(f.out, in.op), in.index)
			f.copied = r.at
		case opMisc:
			if shift := workPerUnit(in.sub); shift != 0 {
				f.chargeLength(at, shift)
			} else if in.sub == miscTableGrow {
				f.chargeUnits(r.at, append(appendU32([]byte{opMisc, miscTableSize}, in.index), opI32Const, 3, opI32ShrU))
			}
		case opMemoryGrow:
			f.chargeUnits(r.at, []byte{opMemorySize, 0, opI32Const, 8, opI32Shl})
		}
		if f.path > maxPath && len(f.blocks) > 0 {
			f.charge(r.at)
		}
	}
	f.copy(r.at)

	groups, ours := f.groups, []byte(nil)
	switch {
	case f.lengths:
		groups, ours = groups+1, []byte{2, typeI32}
	case f.charges:
		groups, ours = groups+1, []byte{1, typeI32}
	}
	head := append(append(appendU32(nil, groups), f.declared...), ours...)
	dst = appendU32(dst, uint32(len(head)+len(f.out)))
	return append(append(dst, head...), f.out...)
}

// step walks over an instruction of so many bytes.
func (f *function) step(size int) {
	if f.path == unreachable {
		return
	}
	switch f.in.op {
	case opCall, opCallIndirect, opRefFunc: // a reference is made by a call, too
		f.path += callCost
	case opBrTable:
		f.path += min(size, branchTableCost)
	default:
		f.path += size
	}
}

// branch notes a jump to a label.
func (f *function) branch(label uint32) {
	if b := f.block(label); b.op != opLoop {
		b.atEnd = max(b.atEnd, f.path)
	}
}

func (f *function) copy(upto int) {
	f.out = append(f.out, f.code.b[f.copied:upto]...)
	f.copied = upto
}

// charge inserts one unit. In code that is never executed there is no need for it.
func (f *function) charge(at int) {
	if f.path == unreachable {
		return
	}
	f.copy(at)
	f.out = append(f.out, f.unit...)
	f.path, f.charges = 0, true
}

// appendUnit writes one unit. The counter is in the given local between its load and its store, which come as late as they can:
// of the ways to write it this is the fastest.
func (m *module) appendUnit(dst []byte, counter uint32) []byte {
	dst = append(m.appendLoad(dst), opI32Const, 1, opI32Sub)
	dst = append(appendU32(append(dst, opLocalTee), counter), opI32Eqz, opIf, noResult)
	dst = appendU32(append(appendSigned(append(dst, opI32Const), int32(m.every)), opLocalSet), counter)
	dst = append(appendU32(append(dst, opCall), m.tick), opEnd)
	return m.appendStore(dst, counter)
}

// appendUnits writes one unit and as many more as the code amount says, which is less than 2^30, and every tick that these make.
func (m *module) appendUnits(dst []byte, counter uint32, amount []byte) []byte {
	dst = append(append(m.appendLoad(dst), amount...), opI32Sub, opI32Const, 1, opI32Sub)
	dst = append(appendU32(append(dst, opLocalSet), counter), opLoop, noResult)
	dst = append(appendU32(append(dst, opLocalGet), counter), opI32Const, 0, opI32LeS, opIf, noResult)
	dst = appendSigned(append(appendU32(append(dst, opLocalGet), counter), opI32Const), int32(m.every))
	dst = appendU32(append(dst, opI32Add, opLocalSet), counter)
	dst = append(appendU32(append(dst, opCall), m.tick), opBr, 1, opEnd, opEnd)
	return m.appendStore(dst, counter)
}

func (m *module) appendLoad(dst []byte) []byte {
	return appendU32(append(dst, opGlobalGet), uint32(m.globals))
}

func (m *module) appendStore(dst []byte, counter uint32) []byte {
	return appendU32(append(appendU32(append(dst, opLocalGet), counter), opGlobalSet), uint32(m.globals))
}

func (f *function) chargeUnits(at int, amount []byte) {
	if f.path == unreachable {
		return
	}
	f.copy(at)
	f.out = f.appendUnits(f.out, f.locals, amount)
	f.path, f.charges = 0, true
}

// chargeLength inserts the units of the instruction at the given place by its last operand.
func (f *function) chargeLength(at int, shift byte) {
	if f.path == unreachable {
		return
	}
	length := f.locals + 1
	f.copy(at)
	f.out = appendU32(append(f.out, opLocalTee), length)
	f.chargeUnits(at, append(appendU32([]byte{opLocalGet}, length), opI32Const, shift, opI32ShrU))
	f.lengths = true
}
