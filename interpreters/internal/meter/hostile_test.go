package meter

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/tetratelabs/wazero"
)

// endless are modules whose f never returns by itself. What is done between two ticks is bounded in all of them.
var endless = map[string]source{
	"an empty loop":             one("", "", 0, opLoop, noResult, opBr, 0, opEnd),
	"a loop by br_table":        one("", "", 0, opLoop, noResult, opBlock, noResult, opI32Const, 5, opBrTable, 1, 0, 1, opEnd, opEnd),
	"recursion":                 one("", "", 0, opCall, 0),
	"recursion of a loop":       one("", "", 0, opLoop, noResult, opCall, 0, opI32Const, 1, opBrIf, 0, opEnd),
	"a loop that grows nothing": one("", "", 0, opLoop, noResult, opI32Const, 0, opMemoryGrow, 0, 0x1a, opBr, 0, opEnd),
	"a loop that fills": one("", "", 0, opLoop, noResult, opI32Const, 0, opI32Const, 0, opI32Const, 0xff, 0xff, 3, opMisc, miscMemoryFill, 0,
		opBr, 0, opEnd),
	"calls without end": func() source { // f0 calls f1 often, f1 calls f2 often, and so on: 300^6 calls of a leaf without any loop
		s := source{types: list(signatureOf("", "")), exports: list(export(0))}
		for i := range byte(6) {
			s.functions, s.codes = append(s.functions, u32(0)), append(s.codes, code(0, repeat(300, opCall, i+1)...))
		}
		s.functions, s.codes = append(s.functions, u32(0)), append(s.codes, code(0))
		return s
	}(),
	"fills without a loop": func() source { // 2^30 calls of a function that fills the memory
		s := source{types: list(signatureOf("", "")), exports: list(export(0)), memories: list([]byte{0, 1})}
		for i := range byte(30) {
			s.functions, s.codes = append(s.functions, u32(0)), append(s.codes, code(0, opCall, i+1, opCall, i+1))
		}
		s.functions, s.codes = append(s.functions, u32(0)), append(s.codes, code(0, opI32Const, 0, opI32Const, 0, opI32Const, 0xff, 0xff, 3, opMisc, miscMemoryFill, 0))
		return s
	}(),
	"a start function": {types: list(signatureOf("", "")), functions: list(u32(0)), exports: list(export(0)), start: u32(0),
		codes: list(code(0, opLoop, noResult, opBr, 0, opEnd))},
	"host functions": {types: list(signatureOf("", ""), signatureOf("i", "i")), imports: list(importFunction("host", "next", 1)), functions: list(u32(0), u32(0)),
		exports: list(export(1)), codes: list(code(0, cat(repeat(2000, opI32Const, 0, opCall, 0, 0x1a), []byte{opCall, 1})...), code(0))},
}

// A panic of the host function ends the guest, wherever it is.
func TestAnEndlessGuestIsStopped(t *testing.T) {
	for name, src := range endless {
		for _, every := range []uint32{1, 1000} {
			t.Run(fmt.Sprint(name, " ", every), func(t *testing.T) {
				metered, err := Rewrite(src.wasm(), Options{Every: every})
				require.NoError(t, err)
				g, err := start(t, metered, stopAfter(50))
				if err == nil {
					_, err = g.call()
				}
				require.ErrorIs(t, err, errStopped)
				require.Equal(t, uint64(50), g.ticks)
			})
		}
	}
}

// An endless loop leaves room for the host's other work: here a garbage collection, which waits for every goroutine to stop.
func TestTheHostCollectsGarbageWhileAGuestLoops(t *testing.T) {
	metered, err := Rewrite(endless["an empty loop"].wasm(), Options{})
	require.NoError(t, err)
	stop := make(chan struct{})
	first := make(chan struct{})
	g, err := start(t, metered, func(g *guest) {
		if g.ticks == 1 {
			close(first)
		}
		select {
		case <-stop:
			panic(errStopped)
		default:
		}
	})
	require.NoError(t, err)
	done := make(chan error, 1)
	go func() { // ends when stop is closed, and is waited for below
		_, err := g.call()
		done <- err
	}()
	<-first
	runtime.GC()
	close(stop)
	require.ErrorIs(t, <-done, errStopped)
}

// The time of a unit is bounded, so that of a tick is: these are the slowest units found, made of the most code for the least charge.
// Go's tests share their machine, so that the limit is far above what is measured, and far below what is not bounded.
func TestTheSlowestUnits(t *testing.T) {
	fill := func(cost int, before, ops, after []byte) []byte { // as many ops as a leaf may have for nothing
		return cat(before, repeat((maxPath-1-len(before)-len(after))/cost, ops...), after)
	}
	for name, leaf := range map[string][]byte{
		"divisions":    fill(3, []byte{opLocalGet, 0}, []byte{opLocalGet, 0, 0x6d}, []byte{0x1a, opLocalGet, 0}),
		"square roots": fill(1, []byte{opF64Const, 0, 0, 0, 0, 0, 0, 0, 0x40}, []byte{0x9f}, []byte{0xab}),
		"cache misses": fill(loadCost, []byte{opLocalGet, 0}, []byte{opFirstLoad, 2, 0}, nil),
	} {
		t.Run(name, func(t *testing.T) {
			src := source{
				types: list(signatureOf("i", ""), signatureOf("i", "i")), functions: list(u32(0), u32(1)), memories: list([]byte{0, 0x80, 8}),
				exports: list(export(0)),
				codes:   list(code(0, cat([]byte{opLoop, noResult, opLocalGet, 0}, repeat(3, opCall, 1), []byte{opLocalSet, 0, opBr, 0, opEnd})...), code(0, leaf...)),
			}
			metered, err := Rewrite(src.wasm(), Options{})
			require.NoError(t, err)
			g, err := start(t, metered, func(*guest) {
				panic(errStopped)
			})
			require.NoError(t, err)
			lines := rand.New(rand.NewPCG(1, 2)).Perm(64 << 20 / 64) // of the memory, each with the address of another
			for i, line := range lines {
				g.Memory().WriteUint32Le(uint32(line)*64, uint32(lines[(i+1)%len(lines)])*64)
			}
			began := time.Now()
			_, err = g.call(64)
			took := time.Since(began)
			require.ErrorIs(t, err, errStopped)
			t.Logf("%d units in %v", DefaultEvery, took)
			require.Less(t, took, 30*time.Second)
		})
	}
}

// raw is a module with one section of these bytes.
func raw(id byte, body ...byte) []byte {
	return appendSection([]byte("\x00asm\x01\x00\x00\x00"), id, body)
}

func TestRefusals(t *testing.T) {
	const most = "\xff\xff\xff\xff\x0f" // 2^32-1
	inCode := func(ops ...byte) []byte { return one("i", "", 1, ops...).wasm() }
	with := func(change func(*source)) []byte {
		s := units[11].src // three functions, a table
		change(&s)
		return s.wasm()
	}
	variable := []byte{typeI32, 1, opI32Const, 0, opEnd}
	cases := []struct {
		name, reason string
		wasm         []byte
	}{
		// What reaches the counter.
		{"it writes the counter", "no global 0", inCode(opI32Const, 0, opGlobalSet, 0)},
		{"it reads the counter", "no global 0", inCode(opGlobalGet, 0, 0x1a)},
		{"it writes the counter in code that is never executed", "no global 0", inCode(opUnreachable, opGlobalSet, 0)},
		{"it writes the counter after its own globals", "no global 1", with(func(s *source) {
			s.globals = list(variable)
			s.codes = append(s.codes[:2:2], code(0, opI32Const, 0, opGlobalSet, 1, opLocalGet, 0))
		})},
		{"it exports the counter", "no global 1", with(func(s *source) {
			s.globals, s.exports = list(variable), append(s.exports[:1:1], cat(str("counter"), []byte{kindGlobal, 1}))
		})},
		{"it exports the counter without globals of its own", "no global 0", with(func(s *source) {
			s.exports = append(s.exports[:1:1], cat(str("counter"), []byte{kindGlobal, 0}))
		})},
		{"a global is initialised with the counter", "no global 1", with(func(s *source) { s.globals = list([]byte{typeI32, 0, opGlobalGet, 1, opEnd}) })},
		{"elements are placed by the counter", "no global 0", with(func(s *source) { s.elements = list([]byte{0, opGlobalGet, 0, opEnd, 0}) })},
		{"data are placed by the counter", "no global 0", with(func(s *source) { s.data = list([]byte{0, opGlobalGet, 0, opEnd, 0}) })},
		{"it reads our local", "no local 2", inCode(opLocalGet, 2, 0x1a)},
		{"it writes our local", "no local 2", inCode(opI32Const, 0, opLocalSet, 2)},
		{"it writes our second local", "no local 3", inCode(opI32Const, 0, opLocalTee, 3, 0x1a)},
		// What names a function of ours.
		{"it calls a function that is not there", "no function 3", with(func(s *source) { s.codes = append(s.codes[:2:2], code(0, opCall, 3, opLocalGet, 0)) })},
		{"it calls a gate", "no function 4", with(func(s *source) { s.codes = append(s.codes[:2:2], code(0, opCall, 4, opLocalGet, 0)) })},
		{"it refers to a function that is not there", "no function 3", with(func(s *source) { s.codes = append(s.codes[:2:2], code(0, opRefFunc, 3)) })},
		{"it exports a function that is not there", "no function 3", with(func(s *source) { s.exports = list(export(3)) })},
		{"it starts a function that is not there", "no function 3", with(func(s *source) { s.start = u32(3) })},
		{"its table holds a function that is not there", "no function 3", with(func(s *source) { s.elements = list([]byte{0, opI32Const, 0, opEnd, 1, 3}) })},
		{"its block has our type", "no type 2", with(func(s *source) { s.codes = append(s.codes[:2:2], code(0, opBlock, 2, opEnd, opLocalGet, 0)) })},
		{"its function has our type", "no type 2", with(func(s *source) { s.functions = list(u32(0), u32(0), u32(2)) })},
		{"it calls by our type", "no type 2", with(func(s *source) {
			s.codes = append(s.codes[:2:2], code(0, opI32Const, 0, opCallIndirect, 2, 0, opLocalGet, 0))
		})},
		{"the host function has parameters", "with parameters", source{types: list(signatureOf("i", "")), imports: list(importFunction(ImportModule, ImportName, 0))}.wasm()},
		// What is not known.
		{"an unknown opcode", "unknown opcode 0x27", inCode(0x27)},
		{"a tail call", "unknown opcode 0x12", inCode(0x12, 0)},
		{"an indirect tail call", "unknown opcode 0x13", inCode(0x13, 0, 0)},
		{"a call by reference", "unknown opcode 0x14", inCode(0x14, 0)},
		{"a try", "unknown opcode 0x6", inCode(0x06, noResult, opEnd)},
		{"a try_table", "unknown opcode 0x1f", inCode(0x1f, noResult, 0, opEnd)},
		{"an atomic", "unknown opcode 0xfe", inCode(0xfe, 3, 0)},
		{"garbage collection", "unknown opcode 0xfb", inCode(0xfb, 0)},
		{"an unknown misc opcode", "unknown opcode 0xfc 0x12", inCode(opMisc, 18)},
		{"an opcode that is an allowed one in its last byte", "unknown opcode 0xfc 0x10b", inCode(opI32Const, 0, opI32Const, 0, opI32Const, 0, opMisc, 0x8b, 2, 0)},
		{"a padded vector opcode", "unknown opcode 0xfd 0x8c", inCode(opVector, 0x8c, 0)},
		{"a relaxed vector opcode", "unknown opcode 0xfd 0x80", inCode(opVector, 0x80, 2)},
		{"an unknown vector opcode", "unknown opcode 0xfd 0x9a", inCode(opVector, 0x9a, 1)},
		{"a second memory", "reserved byte", inCode(opMemorySize, 1, 0x1a)},
		{"a load from a second memory", "alignment", inCode(opI32Const, 0, 0x28, 0x42, 1, 0, 0x1a)},
		{"an extended constant", "opcode 0x6a in a constant", with(func(s *source) {
			s.globals = list([]byte{typeI32, 0, opI32Const, 1, opI32Const, 1, opI32Add, opEnd})
		})},
		{"an unknown value type", "value type 0x69", inCode(opBlock, 0x69, opEnd, 0x1a)},
		{"a shared memory", "unknown limits 0x3", raw(memorySection, 1, 3, 1, 1)},
		{"a 64 bit memory", "unknown limits 0x4", raw(memorySection, 1, 4, 1)},
		{"a table with a value", "reference type 0x40", raw(tableSection, 1, 0x40, 0, funcref, 0, 1)},
		{"tags", "section 13", raw(13, 1, 0, 0)},
		{"an unknown kind of import", "kind 0x4 of import", raw(importSection, 1, 0, 0, 4, 0, 0)},
		{"an unknown kind of export", "kind 0x4 of export", raw(exportSection, 1, 0, 4, 0)},
		// What is not sound.
		{"nothing", "not a WebAssembly module", nil},
		{"another version", "not a WebAssembly module", []byte("\x00asm\x02\x00\x00\x00")},
		{"a component", "not a WebAssembly module", []byte("\x00asm\x0d\x00\x01\x00")},
		{"sections out of order", "out of order", append(raw(memorySection, 0), 1, 1, 0)},
		{"a section twice", "out of order", append(raw(typeSection, 0), 1, 1, 0)},
		{"a section that is too long", "5 bytes wanted, 1 left", append([]byte("\x00asm\x01\x00\x00\x00"), typeSection, 5, 0)},
		{"a section with something left", "left over", raw(typeSection, 0, 0)},
		{"a start section with something left", "left over", with(func(s *source) { s.start = []byte{0, 0} })},
		{"a function with something left", "left over", with(func(s *source) { s.codes = append(s.codes[:2:2], code(0, opEnd, opUnreachable)) })},
		{"a function without its end", "bytes wanted, 0 left", with(func(s *source) { s.codes = append(s.codes[:2:2], []byte{2, 0, 0x01}) })},
		{"a function that is longer than it says", "left over", with(func(s *source) { s.codes = append(s.codes[:2:2], []byte{2, 0, opEnd, opEnd}) })},
		{"a function that is shorter than it says", "bytes wanted", with(func(s *source) { s.codes = append(s.codes[:2:2], []byte{100, 0, opEnd}) })},
		{"more code than functions", "code of 3 functions", with(func(s *source) { s.functions, s.exports = s.functions[:2], nil })},
		{"functions without code", "code of 0 functions", with(func(s *source) { s.codes = nil })},
		{"an else without an if", "else without", inCode(opElse)},
		{"a second else", "else without", inCode(opI32Const, 0, opIf, noResult, opElse, opElse, opEnd)},
		{"a branch to nowhere", "no label 1", inCode(opBr, 1)},
		{"a branch far away", "no label 4294967295", inCode(append([]byte{opBrIf}, most...)...)},
		{"a br_table to nowhere", "no label 7", inCode(opI32Const, 0, opBrTable, 1, 0, 7)},
		{"a number of six bytes", "longer than 32 bits", inCode(opLocalGet, 0x80, 0x80, 0x80, 0x80, 0x80, 0)},
		{"a number of 33 bits", "longer than 32 bits", inCode(opLocalGet, 0x80, 0x80, 0x80, 0x80, 0x10)},
		{"a constant of 33 bits", "longer than 32 bits", inCode(opI32Const, 0x80, 0x80, 0x80, 0x80, 0x08, 0x1a)},
		{"a constant of 65 bits", "longer than 64 bits", inCode(append([]byte{opI64Const}, "\x80\x80\x80\x80\x80\x80\x80\x80\x80\x02"...)...)},
		{"a constant of eleven bytes", "longer than 64 bits", inCode(append([]byte{opI64Const}, "\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00"...)...)},
		{"a padded block type", "no type -64", inCode(opBlock, 0xc0, 0x7f, opEnd)},
		// What makes an engine allocate.
		{"2^32-1 labels", "do not fit", inCode(append([]byte{opBrTable}, most...)...)},
		{"2^32-1 groups of locals", "do not fit", with(func(s *source) { s.codes = append(s.codes[:2:2], cat([]byte{7}, []byte(most), []byte{0, opEnd})) })},
		{"2^32-1 locals", "4294967297 locals", with(func(s *source) {
			s.codes = append(s.codes[:2:2], cat([]byte{8, 1}, []byte(most), []byte{typeI32, opEnd}))
		})},
		{"2^32 locals in two groups", "locals, at most", with(func(s *source) {
			s.codes = append(s.codes[:2:2], cat([]byte{14, 2}, []byte(most), []byte{typeI32}, []byte(most), []byte{typeI32, opEnd}))
		})},
		{"many locals in many functions", "locals in all functions", func() []byte {
			s := source{types: list(signatureOf("", ""))}
			for range 100 {
				s.functions, s.codes = append(s.functions, u32(0)), append(s.codes, code(maxLocals))
			}
			return s.wasm()
		}()},
		{"1001 parameters", "1001 parameters", raw(typeSection, cat([]byte{1, typeFunc}, u32(1001), repeat(1001, typeI32), []byte{0})...)},
		{"10001 imports", "10001 imports", raw(importSection, cat(u32(10001), repeat(10001, 0, 0, 0, 0))...)},
		{"deep blocks", "blocks in each other", inCode(cat(repeat(maxNesting, opBlock, noResult), repeat(maxNesting, opEnd))...)},
		{"2^27 elements in a table", "tables of 134217728", raw(tableSection, 1, funcref, 0, 0x80, 0x80, 0x80, 0x40)},
		{"many elements in many tables", "tables of 12000000", raw(tableSection, 2, funcref, 0, 0x80, 0x9b, 0xee, 2, externref, 0, 0x80, 0x9b, 0xee, 2)},
		{"a name of 2^32-1 bytes", "bytes wanted", raw(importSection, append([]byte{1}, most+"aaa"...)...)},
		{"2^32-1 bytes of data", "bytes wanted", raw(dataSection, append([]byte{1, 1}, most...)...)},
		{"2^32-1 elements", "do not fit", raw(elementSection, append([]byte{1, 1, 0}, most...)...)},
	}
	for id := byte(typeSection); id <= dataSection; id++ {
		if id != startSection {
			cases = append(cases, struct {
				name, reason string
				wasm         []byte
			}{fmt.Sprintf("2^32-1 items in section %d", id), "do not fit", raw(id, append([]byte(most), 0, 0, 0)...)})
		}
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			out, err := Rewrite(c.wasm, Options{})
			runtime.ReadMemStats(&after)
			var refused *RefusedError
			require.ErrorAs(t, err, &refused)
			assert.Contains(t, refused.Reason, c.reason)
			assert.LessOrEqual(t, refused.Offset, len(c.wasm))
			assert.Empty(t, out)
			assert.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(64<<10+64*len(c.wasm)), "bytes allocated")
		})
	}
}

func TestAnUnknownOpcodeIsNamedWithItsPlace(t *testing.T) {
	wasm := one("", "", 0, 0x01, 0x27).wasm()
	_, err := Rewrite(wasm, Options{})
	require.EqualError(t, err, fmt.Sprintf("meter: module refused at byte %#x: unknown opcode 0x27", len(wasm)-2))
}

func TestEveryIsBounded(t *testing.T) {
	_, err := Rewrite(header, Options{Every: MaxEvery + 1})
	require.EqualError(t, err, "meter: Every is 1073741825, at most 1073741824 is possible")
	var refused *RefusedError
	require.NotErrorAs(t, err, &refused)
}

// The most that one instruction can be charged does not overflow the counter.
func TestTheLargestCharge(t *testing.T) {
	src := one("i", "", 0, opI32Const, 0, opRefNull, funcref, opLocalGet, 0, opMisc, miscTableFill, 0)
	src.tables = list([]byte{funcref, 0, 1})
	metered, err := Rewrite(src.wasm(), Options{Every: MaxEvery / 4})
	require.NoError(t, err)
	g, err := start(t, metered, nil)
	require.NoError(t, err)
	_, err = g.call(math.MaxUint32)
	require.ErrorContains(t, err, "invalid table access")
	require.Equal(t, uint64(2), g.ticks, "2^29 units in ticks of 2^28")
}

// A table grows to its share of the most elements and no further: the memory limit of an engine does not count it.
func TestATableDoesNotGrowWithoutEnd(t *testing.T) {
	src := one("i", "i", 0, opRefNull, funcref, opLocalGet, 0, opMisc, miscTableGrow, 0)
	src.tables = list([]byte{funcref, 0, 1})
	metered, err := Rewrite(src.wasm(), Options{})
	require.NoError(t, err)
	g, err := start(t, metered, nil)
	require.NoError(t, err)
	for _, c := range []struct {
		by   uint64
		want uint32
	}{{maxTableElements, math.MaxUint32}, {1000, 1}, {maxTableElements, math.MaxUint32}} {
		got, err := g.call(c.by)
		require.NoError(t, err)
		require.Equal(t, c.want, uint32(got[0]))
	}
}

// Whatever is cut off or changed, there is an error or a module, and never a panic.
func TestTruncatedAndDamagedModules(t *testing.T) {
	for _, c := range units {
		wasm := c.src.wasm()
		if len(wasm) > 1000 {
			continue // long by repetition
		}
		for i := range wasm {
			checkRewrite(t, wasm[:i])
			for _, bit := range []byte{1, 0x80} {
				damaged := append([]byte(nil), wasm...)
				damaged[i] ^= bit
				checkRewrite(t, damaged)
			}
		}
	}
}

var compiler = wazero.NewRuntimeWithConfig(context.Background(), wazero.NewRuntimeConfigCompiler())

func compiles(wasm []byte) error {
	m, err := compiler.CompileModule(context.Background(), wasm)
	if err == nil {
		err = m.Close(context.Background())
	}
	return err
}

// checkRewrite holds what is true for any bytes: a module that is rewritten is valid exactly if it was before. What is refused is not
// compiled, as that alone may exhaust the memory.
func checkRewrite(tb testing.TB, wasm []byte) {
	metered, err := Rewrite(wasm, Options{})
	if err != nil {
		require.Empty(tb, metered)
		return
	}
	again, err := Rewrite(wasm, Options{})
	require.NoError(tb, err)
	require.Equal(tb, metered, again, "deterministic")
	before, after := compiles(wasm), compiles(metered)
	if before == nil {
		require.NoError(tb, after)
	} else if !hasCustomSection(wasm) {
		require.Error(tb, after, "before: %v", before)
	}
}

// hasCustomSection: wazero refuses malformed names, and Rewrite leaves them out.
func hasCustomSection(wasm []byte) bool {
	for r := (&reader{b: wasm, at: len(header)}); r.more(); r.part() {
		if r.byte() == customSection {
			return true
		}
	}
	return false
}

func FuzzRewrite(f *testing.F) {
	for _, c := range units {
		f.Add(c.src.wasm())
	}
	for _, src := range endless {
		f.Add(src.wasm())
	}
	f.Fuzz(func(t *testing.T, wasm []byte) { checkRewrite(t, wasm) })
}

// around is a module with everything that code may name, and with this code, from its locals to its end.
func around(body []byte) []byte {
	return source{
		types:     list(signatureOf("i", "i"), signatureOf("", ""), signatureOf("ii", "ii"), signatureOf("v", "v")),
		imports:   list(importFunction("host", "next", 0)),
		functions: list(u32(0), u32(1)), tables: list([]byte{funcref, 1, 4, 40}, []byte{externref, 0, 2}), memories: list([]byte{1, 1, 3}),
		globals: list([]byte{typeI32, 1, opI32Const, 9, opEnd}, []byte{0x7e, 1, opI64Const, 7, opEnd}), exports: list(export(1)),
		elements: list([]byte{0, opI32Const, 0, opEnd, 3, 0, 1, 2}, []byte{1, 0, 2, 1, 2}), dataCount: u32(1), data: list([]byte{1, 3, 'a', 'b', 'c'}),
		codes: list(cat(u32(uint32(len(body))), body), code(0)),
	}.wasm()
}

// FuzzCode runs code with and without metering. What metering has to stop first is not run without.
func FuzzCode(f *testing.F) {
	sources := slices.Collect(maps.Values(endless))
	for _, c := range units {
		sources = append(sources, c.src)
	}
	for _, src := range sources {
		for _, code := range src.codes {
			r := &reader{b: code}
			f.Add(r.bytes(r.u32()))
		}
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		wasm := around(body)
		checkRewrite(t, wasm)
		metered, err := Rewrite(wasm, Options{Every: 100})
		if err != nil || compiles(metered) != nil {
			return
		}
		var results [2][]uint64
		var memories [2][]byte
		var errs [2]error
		for i, b := range [][]byte{metered, wasm} {
			g, err := start(t, b, stopAfter(1000))
			require.NoError(t, err)
			if results[i], errs[i] = g.call(5); errors.Is(errs[i], errStopped) {
				return
			}
			memories[i], _ = g.Memory().Read(0, g.Memory().Size())
		}
		require.Equal(t, firstLine(errs[1]), firstLine(errs[0]))
		require.Equal(t, results[1], results[0])
		require.True(t, bytes.Equal(memories[1], memories[0]))
	})
}
