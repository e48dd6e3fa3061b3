package meter

import "encoding/binary"

func appendU32(dst []byte, v uint32) []byte { return binary.AppendUvarint(dst, uint64(v)) }

func appendSigned(dst []byte, v int32) []byte {
	for ; v < -64 || v > 63; v >>= 7 {
		dst = append(dst, byte(v)|0x80)
	}
	return append(dst, byte(v)&0x7f)
}

func appendString(dst []byte, s string) []byte { return append(appendU32(dst, uint32(len(s))), s...) }

func appendSection(dst []byte, id byte, body []byte) []byte {
	return append(appendU32(append(dst, id), uint32(len(body))), body...)
}

// encode writes the module with what metering adds: a type, an import and a global, and units in the code.
func (m *module) encode() ([]byte, error) {
	size := len(header)
	for _, s := range m.sections {
		if s != nil {
			size += s.left()
		}
	}
	out := append(make([]byte, 0, size+size/4), header...)
	for _, id := range sectionOrder {
		s := m.sections[id]
		if s == nil {
			s = &reader{b: []byte{0}} // no items
			if !m.adds(id) {
				continue
			}
		}
		var body []byte
		switch id {
		case typeSection:
			body = m.encodeTypes(s)
		case importSection:
			body = m.encodeImports(s)
		case tableSection:
			body = m.encodeTables(s)
		case globalSection:
			body = m.encodeGlobals(s)
		case exportSection:
			body = m.encodeExports(s)
		case startSection:
			body = appendU32(nil, m.readFunction(s))
			s.done("the start section")
		case elementSection:
			body = m.encodeElements(s)
		case codeSection:
			body = m.encodeCode(s)
		case dataSection:
			body = m.encodeData(s)
		case memorySection:
			body = s.b[s.at:]
			for range s.count(2) {
				readLimits(s)
			}
			s.done("the memory section")
		case dataCountSection:
			body = s.b[s.at:]
			s.u32()
			s.done("the data count section")
		case functionSection: // read as a whole before
			body = m.encodeFunctions()
		}
		if s.err != nil {
			return nil, s.err
		}
		out = appendSection(out, id, body)
	}
	return m.appendNames(out), nil
}

// adds reports whether a section has something of ours even if the module does not have the section.
func (m *module) adds(id byte) bool {
	switch id {
	case globalSection:
		return true
	case typeSection, importSection:
		return m.tickAdded
	case functionSection, codeSection:
		return len(m.functions) > 0
	}
	return false
}

func (m *module) encodeTypes(r *reader) []byte {
	n := r.count(3)
	rest := r.b[r.at:]
	if !m.tickAdded || m.tickType < len(m.types) {
		return append(appendU32(nil, uint32(n)), rest...)
	}
	return append(append(appendU32(nil, uint32(n)+1), rest...), typeFunc, 0, 0)
}

func (m *module) encodeImports(r *reader) []byte {
	n := r.count(4)
	rest := r.b[r.at:]
	if !m.tickAdded {
		return append(appendU32(nil, uint32(n)), rest...)
	}
	dst := append(appendU32(nil, uint32(n)+1), rest...)
	dst = appendString(appendString(dst, ImportModule), ImportName)
	return appendU32(append(dst, kindFunction), uint32(m.tickType))
}

// encodeTables lets the module's tables grow to maxTableElements together: no memory limit counts them.
func (m *module) encodeTables(r *reader) []byte {
	n := r.count(3)
	dst := appendU32(nil, uint32(n))
	least := uint64(0)
	for range n {
		at := r.at
		readRefType(r)
		l := readLimits(r)
		if least += uint64(l.min); least > maxTableElements {
			r.fail(at, "tables of %d elements, at most %d are possible", least, maxTableElements)
		}
		if r.err != nil {
			return nil
		}
		if share := max(l.min, uint32(maxTableElements/n)); !l.hasMax || l.max > share {
			l.max = share
		}
		dst = append(dst, r.b[at], 1)
		dst = appendU32(appendU32(dst, l.min), l.max)
	}
	r.done("the table section")
	return dst
}

// encodeGlobals appends the counter: the units left until the next tick, from one to Every.
func (m *module) encodeGlobals(r *reader) []byte {
	n := r.count(4)
	dst := appendU32(nil, uint32(n)+1)
	for range n {
		at := r.at
		readGlobalType(r)
		if r.err != nil {
			return nil
		}
		dst = m.appendConst(append(dst, r.b[at:r.at]...), r)
	}
	r.done("the global section")
	dst = append(dst, typeI32, 1, opI32Const)
	return append(appendSigned(dst, int32(m.every)), opEnd)
}

func (m *module) encodeExports(r *reader) []byte {
	n := r.count(3)
	dst := appendU32(nil, uint32(n))
	for range n {
		at := r.at
		r.bytes(r.u32())
		kind := r.byte()
		if r.err != nil {
			return nil
		}
		dst = append(dst, r.b[at:r.at]...)
		index := r.at
		switch kind {
		case kindFunction:
			dst = appendU32(dst, m.readFunction(r))
			continue
		case kindTable:
			m.readTable(r)
		case kindMemory:
			r.u32()
		case kindGlobal:
			m.readGlobal(r)
		default:
			r.fail(at, "unknown kind %#x of export", kind)
		}
		dst = append(dst, r.b[index:r.at]...)
	}
	r.done("the export section")
	return dst
}

// The bits of an element segment's flag.
const (
	elementsNotActive = 1 << iota
	elementsExplicit  // active: with a table; not active: declared only
	elementsAreExpressions
)

func (m *module) encodeElements(r *reader) []byte {
	n := r.count(2)
	dst := appendU32(nil, uint32(n))
	for range n {
		at, flag := r.at, r.u32()
		if flag > 7 {
			r.fail(at, "unknown flag %#x of elements", flag)
		}
		dst = appendU32(dst, flag)
		if flag&elementsNotActive == 0 {
			if flag&elementsExplicit != 0 {
				dst = appendU32(dst, m.readTable(r))
			}
			dst = m.appendConst(dst, r)
		}
		expressions := flag&elementsAreExpressions != 0
		if flag&(elementsNotActive|elementsExplicit) != 0 { // then it says what the elements are
			at := r.at
			if expressions {
				readRefType(r)
			} else {
				r.zero()
			}
			dst = append(dst, r.b[at:r.at]...)
		}
		count := r.count(1)
		dst = appendU32(dst, uint32(count))
		for range count {
			if expressions {
				dst = m.appendConst(dst, r)
			} else {
				dst = appendU32(dst, m.readFunction(r))
			}
			if r.err != nil {
				return nil
			}
		}
		if r.err != nil {
			return nil
		}
	}
	r.done("the element section")
	return dst
}

func (m *module) encodeData(r *reader) []byte {
	n := r.count(2)
	dst := appendU32(make([]byte, 0, r.left()+8), uint32(n))
	for range n {
		at, flag := r.at, r.u32()
		dst = appendU32(dst, flag)
		switch flag {
		case 0:
			dst = m.appendConst(dst, r)
		case 1:
		case 2:
			if at := r.at; r.u32() != 0 {
				r.fail(at, "data of a second memory")
			}
			dst = m.appendConst(append(dst, 0), r)
		default:
			r.fail(at, "unknown flag %#x of data", flag)
		}
		data := r.bytes(r.u32())
		if r.err != nil {
			return nil
		}
		dst = append(appendU32(dst, uint32(len(data))), data...)
	}
	r.done("the data section")
	return dst
}

// appendConst copies a constant expression.
func (m *module) appendConst(dst []byte, r *reader) []byte {
	var in instruction
	for {
		at := r.at
		m.decode(r, &in)
		switch in.op {
		case opI32Const, opI64Const, opF32Const, opF64Const, opGlobalGet, opRefNull, opEnd:
			dst = append(dst, r.b[at:r.at]...)
		case opRefFunc:
			dst = appendU32(append(dst, opRefFunc), in.index)
		case opVector:
			if in.sub != vecConst {
				r.fail(at, "opcode 0xfd %#x in a constant", in.sub)
			}
			dst = append(dst, r.b[at:r.at]...)
		default:
			r.fail(at, "opcode %#x in a constant", in.op)
		}
		if r.err != nil || in.op == opEnd {
			return dst
		}
	}
}
