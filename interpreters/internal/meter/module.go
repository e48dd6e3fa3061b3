package meter

// The sections of a module, by their numbers.
const (
	customSection = iota
	typeSection
	importSection
	functionSection
	tableSection
	memorySection
	globalSection
	exportSection
	startSection
	elementSection
	codeSection
	dataSection
	dataCountSection
)

// sectionOrder is the order in which sections must come, and come again.
var sectionOrder = [...]byte{typeSection, importSection, functionSection, tableSection, memorySection, globalSection,
	exportSection, startSection, elementSection, dataCountSection, codeSection, dataSection}

// The kinds of what is imported and exported.
const (
	kindFunction = iota
	kindTable
	kindMemory
	kindGlobal
)

const (
	typeI32  = 0x7f
	typeFunc = 0x60
	noResult = 0x40
)

// Browsers have such limits, so no toolchain makes more.
const (
	maxParams        = 1000
	maxResults       = 1000
	maxLocals        = 50_000
	maxTableElements = 10_000_000
	maxImports       = 10_000 // fewer than in browsers: each gets a gate
)

// maxNesting is the depth of blocks in blocks. Go's own compiler, as a guest, has 7741 in one function.
const maxNesting = 1 << 14

type signature struct{ params, results int }

// A module is what has to be known of all sections before one of them can be written.
type module struct {
	every    uint32
	sections [dataCountSection + 1]*reader // nil: there is none
	names    *reader

	types             []signature
	functions         []uint32 // the types of all functions, imported ones first
	importedFunctions int
	importedTables    int
	importedGlobals   int
	globals           int // imported and own: also the index of the counter
	tables            int
	locals            int // of all functions together

	tick      uint32 // the index of the host function after rewriting
	tickAdded bool   // its import is ours, and later functions move up by one
	tickType  int    // the index of its type, which is ours if it is the last plus one
}

var header = []byte("\x00asm\x01\x00\x00\x00")

// parse splits a module into its sections and reads those that the others depend on.
func parse(b []byte) (*module, error) {
	m := &module{}
	r := &reader{b: b}
	if string(r.bytes(uint32(len(header)))) != string(header) {
		return nil, &RefusedError{0, "not a WebAssembly module of version 1"}
	}
	place := 0 // in sectionOrder, of the next section
	for r.more() {
		at, id := r.at, r.byte()
		s := r.part()
		if r.err != nil {
			return nil, r.err
		}
		if id == customSection {
			if name := string(s.bytes(s.u32())); s.err == nil && name == "name" && m.names == nil {
				m.names = s
			}
			continue
		}
		for place < len(sectionOrder) && sectionOrder[place] != id {
			place++
		}
		if place == len(sectionOrder) {
			r.fail(at, "section %d is unknown, twice there or out of order", id)
			return nil, r.err
		}
		place++
		m.sections[id] = s
	}
	if r.err != nil {
		return nil, r.err
	}
	for _, part := range []struct {
		id   int
		read func(*reader)
	}{{typeSection, m.readTypes}, {importSection, m.readImports}, {functionSection, m.readFunctions}, {globalSection, m.countGlobals}, {tableSection, m.countTables}} {
		if s := m.sections[part.id]; s != nil {
			s := *s // the sections are read again when they are written
			part.read(&s)
			if s.err != nil {
				return nil, s.err
			}
		}
	}
	m.placeTick()
	return m, nil
}

func (m *module) readTypes(r *reader) {
	for range r.count(3) {
		if at := r.at; r.byte() != typeFunc {
			r.fail(at, "a type that is not a function's")
		}
		at := r.at
		t := signature{params: readValueTypes(r), results: readValueTypes(r)}
		if t.params > maxParams || t.results > maxResults {
			r.fail(at, "%d parameters and %d results, at most %d and %d are possible", t.params, t.results, maxParams, maxResults)
		}
		if r.err != nil {
			return
		}
		m.types = append(m.types, t)
	}
	r.done("the type section")
}

func readValueTypes(r *reader) int {
	n := r.count(1)
	for range n {
		readValueType(r)
	}
	return n
}

func readValueType(r *reader) {
	switch at, t := r.at, r.byte(); t {
	case typeI32, 0x7e, 0x7d, 0x7c, 0x7b, funcref, externref:
	default:
		r.fail(at, "unknown value type %#x", t)
	}
}

const (
	funcref   = 0x70
	externref = 0x6f
)

func readRefType(r *reader) {
	if at, t := r.at, r.byte(); t != funcref && t != externref {
		r.fail(at, "unknown reference type %#x", t)
	}
}

// readType reads the index of a type.
func (m *module) readType(r *reader) uint32 {
	at, t := r.at, r.u32()
	if r.err == nil && uint64(t) >= uint64(len(m.types)) {
		r.fail(at, "there is no type %d", t)
		return 0
	}
	return t
}

func (m *module) readImports(r *reader) {
	m.tickAdded = true
	at := r.at
	n := r.count(4)
	if n > maxImports {
		r.fail(at, "%d imports, at most %d are possible", n, maxImports)
	}
	for range n {
		at := r.at
		from, name := string(r.bytes(r.u32())), string(r.bytes(r.u32()))
		switch kind := r.byte(); kind {
		case kindFunction:
			t := m.readType(r)
			if r.err == nil && m.tickAdded && from == ImportModule && name == ImportName {
				if m.types[t] != (signature{}) {
					r.fail(at, "%s.%s is imported with parameters or results", ImportModule, ImportName)
				}
				m.tick, m.tickAdded = uint32(len(m.functions)), false
			}
			m.functions = append(m.functions, t)
		case kindTable:
			m.importedTables++
			readRefType(r)
			readLimits(r)
		case kindMemory:
			readLimits(r)
		case kindGlobal:
			m.importedGlobals++
			readGlobalType(r)
		default:
			r.fail(at, "unknown kind %#x of import", kind)
		}
		if r.err != nil {
			return
		}
	}
	m.importedFunctions, m.globals, m.tables = len(m.functions), m.importedGlobals, m.importedTables
	r.done("the import section")
}

// limits are the size of a table or a memory.
type limits struct {
	min, max uint32
	hasMax   bool
}

func readLimits(r *reader) limits {
	switch at, flag := r.at, r.byte(); flag {
	case 0:
		return limits{min: r.u32()}
	case 1:
		return limits{min: r.u32(), max: r.u32(), hasMax: true}
	default:
		r.fail(at, "unknown limits %#x", flag)
		return limits{}
	}
}

func readGlobalType(r *reader) {
	readValueType(r)
	if at := r.at; r.byte() > 1 {
		r.fail(at, "a global is neither constant nor variable")
	}
}

func (m *module) readFunctions(r *reader) {
	n := r.count(1)
	for range n {
		m.functions = append(m.functions, m.readType(r))
		if r.err != nil {
			return
		}
	}
	r.done("the function section")
}

func (m *module) countGlobals(r *reader) { m.globals += r.count(4) }

func (m *module) countTables(r *reader) { m.tables += r.count(3) }

// placeTick finds an index for the host function, and a type, when the module does not import it.
func (m *module) placeTick() {
	if m.sections[importSection] == nil {
		m.tickAdded = true
	}
	if !m.tickAdded {
		return
	}
	m.tick = uint32(m.importedFunctions)
	for m.tickType < len(m.types) && m.types[m.tickType] != (signature{}) {
		m.tickType++
	}
}

// readIndex reads the index of a function and returns it as it is after rewriting.
func (m *module) readIndex(r *reader) uint32 {
	at, f := r.at, r.u32()
	if r.err == nil && uint64(f) >= uint64(len(m.functions)) {
		r.fail(at, "there is no function %d", f)
		return 0
	}
	if m.tickAdded && f >= m.tick {
		f++
	}
	return f
}

// readFunction reads the index of a function that may be called, and returns the one to call after rewriting: for a host function it is
// that of its gate.
func (m *module) readFunction(r *reader) uint32 {
	f := m.readIndex(r)
	if f < uint32(m.importedFunctions) {
		return m.firstGate() + f
	}
	return f
}

// readGlobal reads the index of a global. The next one after the module's own is the counter, which only our code may name.
func (m *module) readGlobal(r *reader) {
	if at, g := r.at, r.u32(); r.err == nil && uint64(g) >= uint64(m.globals) {
		r.fail(at, "there is no global %d", g)
	}
}

func (m *module) readTable(r *reader) uint32 {
	at, t := r.at, r.u32()
	if r.err == nil && uint64(t) >= uint64(m.tables) {
		r.fail(at, "there is no table %d", t)
	}
	return t
}
