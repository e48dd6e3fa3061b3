package meter

const (
	// maxPath is how many bytes of code may be executed in a function without a unit.
	maxPath = 512

	// callCost is what a call counts in bytes of code, besides the units of the function it calls.
	callCost = 128

	// loadCost is what a load from memory counts, as it may wait for the memory.
	loadCost = 12

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
		f.survey(body, m.types[own[i]].params)
		if body.err != nil {
			r.err = body.err
			return nil
		}
		dst = f.rewrite(dst)
	}
	r.done("the code section")
	for i := range m.importedFunctions {
		dst = m.appendGate(dst, i)
	}
	return dst
}

// rewrite is the second pass: it writes the function with units in it, and with its size before it.
func (f *function) rewrite(dst []byte) []byte {
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
	switch op := f.in.op; {
	case op == opCall, op == opCallIndirect, op == opRefFunc: // a reference is made by a call, too
		f.path += callCost
	case op >= opFirstLoad && op <= opLastLoad:
		f.path += loadCost
	case op == opBrTable:
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
