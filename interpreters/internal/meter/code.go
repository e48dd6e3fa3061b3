package meter

const (
	// maxPath is how many bytes of code may be executed in a function without a unit.
	maxPath = 512

	// callCost is what a call counts in bytes of code, besides the units of the function it calls.
	callCost = 32

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
	dst := appendU32(make([]byte, 0, r.left()+r.left()/4), uint32(n))
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
	return dst
}

// A block is what a label stands for: a block, a loop, one branch of an if, or the function.
type block struct {
	op     byte
	loop   int // among the function's loops
	atElse int // of an if: the path before it
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
	loopsBack bool   // there is one at all
	calls     bool
	lengths   bool // it has instructions that work as long as an operand says

	// What the second pass writes.
	out     []byte
	copied  int // how far the code is in out
	path    int
	charges bool // there are units in it

	load, store []byte // the counter to the local that stands for it, and back
	unit        []byte // one unit
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
	f.loops, f.entryLoop, f.loopsBack, f.calls, f.lengths = f.loops[:0], false, false, false, false
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
		case opMisc:
			f.lengths = f.lengths || workPerUnit(f.in.sub) != 0
		}
	}
	r.done("the code of a function")
	for i, back := range f.loops {
		f.loopsBack = f.loopsBack || back
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
func workPerUnit(misc byte) int32 {
	switch misc {
	case miscMemoryInit, miscMemoryCopy, miscMemoryFill:
		return 6
	case miscTableInit, miscTableCopy, miscTableFill:
		return 3
	}
	return 0
}

// append is the second pass: it writes the function with units in it, and with its size before it.
//
// The counter is a global. A function with loops keeps it in a local, and writes it back only where somebody else may see it: before
// calls and returns. Others load and store it for each unit.
func (f *function) append(dst []byte) []byte {
	counter, length := f.locals, f.locals+1
	f.load = appendU32(append(appendU32(append(f.load[:0], opGlobalGet), uint32(f.globals)), opLocalSet), counter)
	f.store = appendU32(append(appendU32(append(f.store[:0], opLocalGet), counter), opGlobalSet), uint32(f.globals))
	f.unit = f.appendUnit(f.unit[:0], counter)

	r := &f.code
	f.out, f.copied, f.charges = f.out[:0], r.at, f.loopsBack
	f.blocks = append(f.blocks[:0], block{atEnd: unreachable})
	f.path = 0
	if f.loopsBack {
		f.out = append(f.out, f.load...)
	}
	if f.calls && !f.entryLoop {
		f.charge(r.at)
	}
	loops := 0
	for len(f.blocks) > 0 {
		at := r.at
		f.decode(r, &f.in)
		cost := r.at - at
		switch in := &f.in; in.op {
		case opBlock, opLoop, opIf:
			f.step(cost)
			f.blocks = append(f.blocks, block{op: in.op, loop: loops, atElse: f.path, atEnd: unreachable})
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
			if len(f.blocks) == 1 {
				f.writeBack(at)
			}
			b := f.block(0)
			f.path = max(f.path, b.atEnd)
			if b.op == opIf {
				f.path = max(f.path, b.atElse)
			}
			f.blocks = f.blocks[:len(f.blocks)-1]
		case opBr, opBrIf:
			f.step(cost)
			f.branch(at, in.index)
			if in.op == opBr {
				f.path = unreachable
			}
		case opBrTable:
			f.step(min(cost, branchTableCost))
			f.branch(at, in.labels...)
			f.path = unreachable
		case opReturn:
			f.writeBack(at)
			f.path = unreachable
		case opUnreachable:
			f.path = unreachable
		case opCall, opCallIndirect:
			f.writeBack(at)
			f.step(callCost)
			if in.op == opCall && f.tickAdded {
				f.copy(at)
				f.out = appendU32(append(f.out, opCall), in.index)
				f.copied = r.at
			}
			if f.loopsBack {
				f.insert(r.at, f.load)
			}
		case opRefFunc:
			f.step(cost)
			if f.tickAdded {
				f.copy(at)
				f.out = appendU32(append(f.out, opRefFunc), in.index)
				f.copied = r.at
			}
		case opMisc:
			f.step(cost)
			if shift := workPerUnit(in.sub); shift != 0 {
				f.insert(at, appendU32([]byte{opLocalTee}, length))
				f.chargeUnits(at, counter, append(appendSigned(append(appendU32([]byte{opLocalGet}, length), opI32Const), shift), opI32ShrU))
			}
			if in.sub == miscTableGrow {
				f.chargeUnits(r.at, counter, append(appendU32([]byte{opMisc, miscTableSize}, in.index), opI32Const, 3, opI32ShrU))
			}
		case opMemoryGrow:
			f.step(cost)
			f.chargeUnits(r.at, counter, []byte{opMemorySize, 0, opI32Const, 8, opI32Shl})
		default:
			f.step(cost)
		}
		if f.path > maxPath && len(f.blocks) > 0 {
			f.charge(r.at)
		}
	}
	f.copy(r.at)

	var head []byte
	switch {
	case f.lengths:
		head = append(append(appendU32(nil, f.groups+1), f.declared...), 2, typeI32)
	case f.charges:
		head = append(append(appendU32(nil, f.groups+1), f.declared...), 1, typeI32)
	default:
		head = append(appendU32(nil, f.groups), f.declared...)
	}
	dst = appendU32(dst, uint32(len(head)+len(f.out)))
	return append(append(dst, head...), f.out...)
}

// step walks over so many bytes of code.
func (f *function) step(cost int) {
	if f.path != unreachable {
		f.path += cost
	}
}

// branch notes a jump to one of these labels.
func (f *function) branch(at int, labels ...uint32) {
	leaves := false
	for _, label := range labels {
		if b := f.block(label); b.op != opLoop {
			b.atEnd = max(b.atEnd, f.path)
		}
		leaves = leaves || int(label) == len(f.blocks)-1
	}
	if leaves {
		f.writeBack(at)
	}
}

func (f *function) copy(upto int) {
	f.out = append(f.out, f.code.b[f.copied:upto]...)
	f.copied = upto
}

// insert writes code of ours before what is at the given place. In code that is never executed there is no need for it.
func (f *function) insert(at int, code []byte) {
	if f.path != unreachable {
		f.copy(at)
		f.out = append(f.out, code...)
	}
}

func (f *function) writeBack(at int) {
	if f.loopsBack {
		f.insert(at, f.store)
	}
}

// charge inserts one unit.
func (f *function) charge(at int) {
	if f.path == unreachable {
		return
	}
	f.insert(at, f.unit)
	f.path, f.charges = 0, true
}

func (f *function) appendUnit(dst []byte, counter uint32) []byte {
	if f.loopsBack {
		dst = appendU32(append(dst, opLocalGet), counter)
	} else {
		dst = appendU32(append(dst, opGlobalGet), uint32(f.globals))
	}
	dst = append(dst, opI32Const, 1, opI32Sub)
	dst = append(appendU32(append(dst, opLocalTee), counter), opI32Eqz, opIf, noResult)
	dst = appendU32(append(appendSigned(append(dst, opI32Const), int32(f.every)), opLocalSet), counter)
	dst = append(appendU32(append(dst, opCall), f.tick), opEnd)
	if !f.loopsBack {
		dst = append(dst, f.store...)
	}
	return dst
}

// chargeUnits inserts one unit and as many as the given code says, which is less than 2^30, and all the ticks that these make.
func (f *function) chargeUnits(at int, counter uint32, amount []byte) {
	if f.path == unreachable {
		return
	}
	f.copy(at)
	if !f.loopsBack {
		f.out = append(f.out, f.load...)
	}
	f.out = append(appendU32(append(f.out, opLocalGet), counter), amount...)
	f.out = append(f.out, opI32Sub, opI32Const, 1, opI32Sub)
	f.out = append(appendU32(append(f.out, opLocalSet), counter), opLoop, noResult)
	f.out = append(appendU32(append(f.out, opLocalGet), counter), opI32Const, 0, opI32LeS, opIf, noResult)
	f.out = appendSigned(append(appendU32(append(f.out, opLocalGet), counter), opI32Const), int32(f.every))
	f.out = append(appendU32(append(f.out, opI32Add, opLocalSet), counter), opCall)
	f.out = append(appendU32(f.out, f.tick), opBr, 1, opEnd, opEnd)
	if !f.loopsBack {
		f.out = append(f.out, f.store...)
	}
	f.path, f.charges = 0, true
}
