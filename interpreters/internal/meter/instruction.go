package meter

// The opcodes that matter for metering.
const (
	opUnreachable  = 0x00
	opBlock        = 0x02
	opLoop         = 0x03
	opIf           = 0x04
	opElse         = 0x05
	opEnd          = 0x0b
	opBr           = 0x0c
	opBrIf         = 0x0d
	opBrTable      = 0x0e
	opReturn       = 0x0f
	opCall         = 0x10
	opCallIndirect = 0x11
	opLocalGet     = 0x20
	opLocalSet     = 0x21
	opLocalTee     = 0x22
	opGlobalGet    = 0x23
	opGlobalSet    = 0x24
	opFirstLoad    = 0x28
	opLastLoad     = 0x35
	opLastStore    = 0x3e
	opMemorySize   = 0x3f
	opMemoryGrow   = 0x40
	opI32Const     = 0x41
	opI64Const     = 0x42
	opF32Const     = 0x43
	opF64Const     = 0x44
	opI32Eqz       = 0x45
	opI32LeS       = 0x4c
	opI32Add       = 0x6a
	opI32Sub       = 0x6b
	opI32Shl       = 0x74
	opI32ShrU      = 0x76
	opRefNull      = 0xd0
	opRefFunc      = 0xd2
	opMisc         = 0xfc
	opVector       = 0xfd
)

// The numbers after opMisc.
const (
	miscMemoryInit = 8
	miscDataDrop   = 9
	miscMemoryCopy = 10
	miscMemoryFill = 11
	miscTableInit  = 12
	miscElemDrop   = 13
	miscTableCopy  = 14
	miscTableGrow  = 15
	miscTableSize  = 16
	miscTableFill  = 17
)

// vecConst is a number after opVector.
const vecConst = 0x0c

// An instruction as far as metering has to know it.
type instruction struct {
	op, sub byte
	index   uint32   // of a label, a table or, as it is after rewriting, a function
	labels  []uint32 // of br_table, the default last
}

// decode reads one instruction of the WebAssembly that wazero runs by default, and checks every index in it that rewriting gives
// another meaning. Locals and labels are the caller's to check.
func (m *module) decode(r *reader, in *instruction) {
	at := r.at
	in.op, in.sub, in.index = r.byte(), 0, 0
	switch op := in.op; {
	case op == opBlock, op == opLoop, op == opIf:
		m.readBlockType(r)
	case op == opBr, op == opBrIf, op == opLocalGet, op == opLocalSet, op == opLocalTee:
		in.index = r.u32()
	case op == opBrTable:
		in.labels = in.labels[:0]
		for range r.count(1) {
			in.labels = append(in.labels, r.u32())
		}
		in.labels = append(in.labels, r.u32())
	case op == opCall, op == opRefFunc:
		in.index = m.readFunction(r)
	case op == opCallIndirect:
		m.readType(r)
		in.index = m.readTable(r)
	case op == opGlobalGet, op == opGlobalSet:
		m.readGlobal(r)
	case op == 0x25, op == 0x26: // table.get, table.set
		in.index = m.readTable(r)
	case op >= opFirstLoad && op <= opLastStore:
		readMemoryArgument(r)
	case op == opMemorySize, op == opMemoryGrow:
		r.zero()
	case op == opI32Const:
		r.signed(32)
	case op == opI64Const:
		r.signed(64)
	case op == opF32Const:
		r.bytes(4)
	case op == opF64Const:
		r.bytes(8)
	case op == 0x1c: // select with a type
		if at := r.at; r.byte() != 1 {
			r.fail(at, "a select of other than one type")
		}
		readValueType(r)
	case op == opRefNull:
		readRefType(r)
	case op <= 0x01, op == opElse, op == opEnd, op == opReturn, op == 0x1a, op == 0x1b, op >= 0x45 && op <= 0xc4, op == 0xd1:
	case op == opMisc:
		m.decodeMisc(r, in, at)
	case op == opVector:
		decodeVector(r, in, at)
	default:
		r.fail(at, "unknown opcode %#x", op)
	}
}

func (m *module) readBlockType(r *reader) {
	if at := r.at; at < len(r.b) && r.b[at]&0xc0 == 0x40 { // one byte, a negative number
		if r.b[at] == noResult {
			r.at++
			return
		}
		readValueType(r)
		return
	}
	if at, t := r.at, r.signed(33); r.err == nil && (t < 0 || t >= int64(len(m.types))) {
		r.fail(at, "there is no type %d", t)
	}
}

func readMemoryArgument(r *reader) {
	if at := r.at; r.u32() >= 32 {
		r.fail(at, "an alignment of more than 32 bits")
	}
	r.u32()
}

func (m *module) decodeMisc(r *reader, in *instruction, at int) {
	sub := r.u32()
	in.sub = byte(sub)
	switch sub {
	case 0, 1, 2, 3, 4, 5, 6, 7: // saturating conversions
	case miscMemoryInit:
		r.u32()
		r.zero()
	case miscDataDrop, miscElemDrop:
		r.u32()
	case miscMemoryCopy:
		r.zero()
		r.zero()
	case miscMemoryFill:
		r.zero()
	case miscTableInit:
		r.u32()
		in.index = m.readTable(r)
	case miscTableCopy:
		in.index = m.readTable(r)
		m.readTable(r)
	case miscTableGrow, miscTableSize, miscTableFill:
		in.index = m.readTable(r)
	default:
		r.fail(at, "unknown opcode 0xfc %#x", sub)
	}
}

// decodeVector reads the number after opVector in its shortest form only: wazero takes the second byte for the whole of it, and the 1
// after those over 0x7f for a nop.
func decodeVector(r *reader, in *instruction, at int) {
	in.sub = r.byte()
	if in.sub >= 0x80 && r.byte() != 1 {
		r.fail(at, "unknown opcode 0xfd %#x", in.sub)
		return
	}
	switch sub := in.sub; {
	case sub <= 0x0b, sub == 0x5c, sub == 0x5d: // loads and a store
		readMemoryArgument(r)
	case sub >= 0x54 && sub <= 0x5b: // of one lane
		readMemoryArgument(r)
		r.byte()
	case sub == vecConst, sub == 0x0d: // and a shuffle
		r.bytes(16)
	case sub >= 0x15 && sub <= 0x22: // extract and replace a lane
		r.byte()
	default:
		switch sub {
		case 0x9a, 0xa2, 0xa5, 0xa6, 0xaf, 0xb0, 0xb2, 0xb3, 0xb4, 0xbb, 0xc2, 0xc5, 0xc6, 0xcf, 0xd0, 0xd2, 0xd3, 0xd4, 0xe2, 0xee:
			r.fail(at, "unknown opcode 0xfd %#x", sub)
		}
	}
}
