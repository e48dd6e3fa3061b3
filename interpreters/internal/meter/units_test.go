package meter

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

// The local of a loop's counter, down from its value to zero: the loop is entered with label 0 on it.
func downFrom(local byte) []byte {
	return []byte{opLocalGet, local, opI32Const, 1, opI32Sub, opLocalTee, local, opBrIf, 0}
}

// addOne adds one to a local.
func addOne(local byte) []byte {
	return []byte{opLocalGet, local, opI32Const, 1, opI32Add, opLocalSet, local}
}

func repeat(n int, ops ...byte) []byte { return bytes.Repeat(ops, n) }

var (
	// tightLoop counts up to its argument.
	tightLoop = one("i", "i", 1, cat([]byte{opLoop, noResult}, addOne(1), downFrom(0), []byte{opEnd, opLocalGet, 1})...)

	fibonacci = one("i", "i", 0, opLocalGet, 0, opI32Const, 2, 0x48, opIf, typeI32, opLocalGet, 0, opElse,
		opLocalGet, 0, opI32Const, 1, opI32Sub, opCall, 0, opLocalGet, 0, opI32Const, 2, opI32Sub, opCall, 0, opI32Add, opEnd)
)

// longOrShort is four times 300 bytes or none of them.
var longOrShort = cat(repeat(4, cat([]byte{opLocalGet, 0, opIf, noResult}, repeat(300, 0x01), []byte{opElse, 0x01, opEnd})...), []byte{opLocalGet, 0})

// units are modules with the function f, what it computes, and the units that this takes.
var units = []struct {
	name  string
	src   source
	args  []uint64
	want  []uint64
	units uint64
}{
	{
		name: "a leaf is free", src: one("ii", "i", 0, opLocalGet, 0, opLocalGet, 1, opI32Add),
		args: []uint64{1, 2}, want: []uint64{3}, units: 0,
	}, {
		name: "a loop takes one per iteration",
		src:  tightLoop,
		args: []uint64{100_000}, want: []uint64{100_000}, units: 100_000,
	}, {
		name: "a loop that ends at once takes one",
		src:  one("i", "i", 0, opLoop, noResult, opLocalGet, 0, opBrIf, 0, opEnd, opLocalGet, 0),
		args: []uint64{0}, want: []uint64{0}, units: 1,
	}, {
		name: "a block named loop is free",
		src:  one("i", "i", 0, opLoop, noResult, opBlock, noResult, opLocalGet, 0, opBrIf, 0, opEnd, opEnd, opLocalGet, 0),
		args: []uint64{5}, want: []uint64{5}, units: 0,
	}, {
		name: "loops in loops",
		src: one("i", "i", 2, cat([]byte{opLoop, noResult, opI32Const, 10, opLocalSet, 1, opLoop, noResult}, addOne(2), downFrom(1), []byte{opEnd},
			downFrom(0), []byte{opEnd, opLocalGet, 2})...),
		args: []uint64{1000}, want: []uint64{10_000}, units: 11_000,
	}, {
		name: "a branch from an inner loop to an outer one",
		src: one("i", "i", 1, cat([]byte{opLoop, noResult, opLoop, noResult}, addOne(1),
			[]byte{opLocalGet, 0, opI32Const, 1, opI32Sub, opLocalTee, 0, opBrIf, 1, opEnd, opEnd, opLocalGet, 1})...),
		args: []uint64{300}, want: []uint64{300}, units: 300, // the inner one is only entered
	}, {
		name: "loops in both branches of an if",
		src: one("ii", "i", 1, cat([]byte{opLocalGet, 1, opIf, noResult, opLoop, noResult}, addOne(2), downFrom(0), []byte{opEnd, opElse, opLoop, noResult},
			addOne(2), addOne(2), downFrom(0), []byte{opEnd, opEnd, opLocalGet, 2})...),
		args: []uint64{50, 0}, want: []uint64{100}, units: 50,
	}, {
		name: "a state machine by br_table",
		src: one("i", "i", 2, cat(
			[]byte{opLoop, noResult, opBlock, noResult, opBlock, noResult, opBlock, noResult, opLocalGet, 1, opBrTable, 2, 0, 1, 2, opEnd},
			addOne(2), []byte{opI32Const, 1, opLocalSet, 1, opBr, 2, opEnd},
			addOne(2), []byte{opI32Const, 2, opLocalSet, 1, opBr, 1, opEnd},
			[]byte{opI32Const, 0, opLocalSet, 1}, downFrom(0), []byte{opEnd, opLocalGet, 2})...),
		args: []uint64{40}, want: []uint64{80}, units: 120,
	}, {
		name: "a loop that takes and gives values",
		src: func() source {
			s := one("i", "i", 0, opI32Const, 0, opLocalGet, 0, opLoop, 1, opLocalSet, 0, opI32Const, 2, opI32Add, opLocalGet, 0,
				opI32Const, 1, opI32Sub, opLocalGet, 0, opI32Const, 1, opI32Sub, opBrIf, 0, opEnd, 0x1a)
			s.types = append(s.types, signatureOf("ii", "ii"))
			return s
		}(),
		args: []uint64{77}, want: []uint64{154}, units: 77,
	}, {
		name: "recursion takes one per entry",
		src:  fibonacci,
		args: []uint64{20}, want: []uint64{6765}, units: 21891,
	}, {
		name: "a function whose entry is a loop takes its units there",
		src: func() source {
			s := one("i", "i", 0, opBlock, noResult, opLoop, noResult, opCall, 1, opLocalGet, 0, opI32Const, 1, opI32Sub, opLocalTee, 0, opBrIf, 0, opEnd, opEnd,
				opLocalGet, 0)
			s.types = append(s.types, signatureOf("", ""))
			s.functions, s.codes = append(s.functions, u32(1)), append(s.codes, code(0))
			return s
		}(),
		args: []uint64{9}, want: []uint64{0}, units: 9,
	}, {
		name: "calls through a table",
		src: source{
			types:     list(signatureOf("i", "i"), signatureOf("ii", "i")),
			functions: list(u32(0), u32(0), u32(1)), tables: list([]byte{funcref, 0, 2}), exports: list(export(2)),
			elements: list([]byte{0, opI32Const, 0, opEnd, 2, 0, 1}),
			codes: list(code(0, opLocalGet, 0, opI32Const, 1, opI32Add), code(0, opLocalGet, 0, opCall, 0, opCall, 0),
				code(0, opLocalGet, 1, opLocalGet, 0, opCallIndirect, 0, 0)),
		},
		args: []uint64{1, 40}, want: []uint64{42}, units: 2,
	}, {
		name: "long straight code takes one every 512 bytes",
		src:  one("i", "i", 0, cat(repeat(2000, 0x01), []byte{opLocalGet, 0})...),
		args: []uint64{1}, want: []uint64{1}, units: 3,
	}, {
		name: "code that is jumped over takes none, and what is jumped to is counted from the jump",
		src: one("i", "i", 0, cat(repeat(8, cat([]byte{opBlock, noResult}, repeat(200, 0x01), []byte{opBr, 0}, repeat(900, 0x01), []byte{opEnd})...),
			[]byte{opLocalGet, 0})...),
		args: []uint64{1}, want: []uint64{1}, units: 3, // 8 times 204 bytes
	}, {
		name: "the long branch of an if",
		src:  one("i", "i", 0, longOrShort...),
		args: []uint64{1}, want: []uint64{1}, units: 3, // where branches meet, the longest way there counts, whichever was taken
	}, {
		name: "the short branch of an if",
		src:  one("i", "i", 0, longOrShort...),
		args: []uint64{0}, want: []uint64{0}, units: 0,
	}, {
		name: "leaves count for their caller",
		src: func() source {
			s := one("i", "i", 0, cat(repeat(64, opCall, 1), []byte{opLocalGet, 0})...)
			s.types = append(s.types, signatureOf("", ""))
			s.functions, s.codes = append(s.functions, u32(1)), append(s.codes, code(0, repeat(500, 0x01)...))
			return s
		}(),
		args: []uint64{3}, want: []uint64{3}, units: 1 + 13, // the entry, one per five calls, and one for what is left
	}, {
		name: "memory.fill by length",
		src:  one("i", "i", 0, opI32Const, 0, opI32Const, 7, opLocalGet, 0, opMisc, miscMemoryFill, 0, opI32Const, 9, 0x2d, 0, 0),
		args: []uint64{65536}, want: []uint64{7}, units: 1025,
	}, {
		name: "memory.copy by length",
		src:  one("i", "i", 0, opI32Const, 0, opI32Const, 63, opLocalGet, 0, opMisc, miscMemoryCopy, 0, 0, opLocalGet, 0),
		args: []uint64{640}, want: []uint64{640}, units: 11,
	}, {
		name: "memory.init by length",
		src: func() source {
			s := one("i", "i", 0, opI32Const, 0, opI32Const, 0, opLocalGet, 0, opMisc, miscMemoryInit, 0, 0, opMisc, miscDataDrop, 0, opI32Const, 0, 0x2d, 0, 0)
			s.dataCount, s.data = u32(1), list(cat([]byte{1}, u32(130), repeat(130, 5)))
			return s
		}(),
		args: []uint64{128}, want: []uint64{5}, units: 3,
	}, {
		name: "memory.grow by what there is then",
		src:  one("i", "i", 0, opLocalGet, 0, opMemoryGrow, 0, 0x1a, opMemorySize, 0),
		args: []uint64{3}, want: []uint64{4}, units: 1 + 4*256,
	}, {
		name: "tables by length",
		src: func() source {
			s := one("i", "i", 0,
				opRefNull, funcref, opLocalGet, 0, opMisc, miscTableGrow, 0, 0x1a, // 1 + (10 + n)/8
				opI32Const, 0, opRefFunc, 0, opI32Const, 16, opMisc, miscTableFill, 0, // 3
				opI32Const, 8, opI32Const, 0, opI32Const, 8, opMisc, miscTableCopy, 0, 0, // 2
				opI32Const, 0, opI32Const, 0, opI32Const, 1, opMisc, miscTableInit, 0, 0, opMisc, miscElemDrop, 0, // 1
				opI32Const, 3, 0x25, 0, 0xd1, opI32Const, 20, 0x25, 0, 0xd1, opI32Add, opMisc, miscTableSize, 0, opI32Add)
			s.tables, s.elements = list([]byte{funcref, 0, 10}), list([]byte{1, 0, 1, 0})
			return s
		}(),
		args: []uint64{90}, want: []uint64{101}, units: 13 + 3 + 2 + 1,
	}, {
		name: "a host function costs as much as its call takes",
		src: source{
			types: list(signatureOf("i", "i")), imports: list(importFunction("host", "next", 0)), functions: list(u32(0)),
			exports: list(export(1)), codes: list(code(0, opLocalGet, 0, opCall, 0, opCall, 0)),
		},
		args: []uint64{5}, want: []uint64{7}, units: 1 + 2*hostCallUnits,
	}, {
		name: "a host function in a table",
		src: source{
			types: list(signatureOf("i", "i")), imports: list(importFunction("host", "next", 0)), functions: list(u32(0)), tables: list([]byte{funcref, 0, 1}),
			exports:  list(export(1)),
			elements: list([]byte{4, opI32Const, 0, opEnd, 1, opRefFunc, 0, opEnd}),
			codes:    list(code(0, opLocalGet, 0, opI32Const, 0, opCallIndirect, 0, 0)),
		},
		args: []uint64{5}, want: []uint64{6}, units: 1 + hostCallUnits,
	}, {
		name: "a host function that is exported",
		src:  source{types: list(signatureOf("i", "i")), imports: list(importFunction("host", "next", 0)), exports: list(export(0))},
		args: []uint64{5}, want: []uint64{6}, units: hostCallUnits,
	}, {
		name: "functions as values of globals, and the module's own import of the host function",
		src: source{
			types: list(signatureOf("", ""), signatureOf("i", "i")), imports: list(importFunction("host", "next", 1), importFunction(ImportModule, ImportName, 0)),
			functions: list(u32(1), u32(1)), tables: list([]byte{funcref, 0, 1}),
			globals: list([]byte{funcref, 0, opRefFunc, 2, opEnd}, []byte{typeI32, 1, opI32Const, 4, opEnd}), exports: list(export(3)),
			codes: list(code(0, opLocalGet, 0, opGlobalGet, 1, 0x6c), code(0, opI32Const, 0, opGlobalGet, 0, 0x26, 0, opLocalGet, 0, opI32Const, 0, opCallIndirect, 1, 0)),
		},
		args: []uint64{5}, want: []uint64{20}, units: 1,
	}, {
		name: "a start function",
		src: source{
			types: list(signatureOf("", ""), signatureOf("", "i")), functions: list(u32(0), u32(1)),
			globals: list([]byte{typeI32, 1, opI32Const, 4, opEnd}), exports: list(export(1)), start: u32(0),
			codes: list(code(1, cat([]byte{opI32Const, 30, opLocalSet, 0, opLoop, noResult}, downFrom(0), []byte{opEnd, opI32Const, 11, opGlobalSet, 0})...), code(0, opGlobalGet, 0)),
		},
		want: []uint64{11}, units: 30,
	}, {
		name: "vectors",
		src: one("i", "i", 0, cat(
			[]byte{opLocalGet, 0, opVector, 0x11}, []byte{opVector, vecConst}, repeat(16, 1), []byte{opVector, 0xae, 1, // i32x4.add
				opVector, 0x0c}, repeat(16, 0), []byte{opVector, 0x0d}, []byte{0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3}, // a shuffle
			[]byte{opVector, 0x1b, 2})...), // i32x4.extract_lane
		args: []uint64{1}, want: []uint64{0x01010102}, units: 0,
	}, {
		name: "vectors in memory, saturation and sign extension",
		src: one("i", "i", 0, opI32Const, 16, 0x43, 0, 0, 0xc0, 0x40, opMisc, 0, opVector, 0x11, opVector, 0x0b, 4, 0, opI32Const, 20,
			opI32Const, 0, opVector, 0x5c, 2, 16, opVector, 0x58, 0, 0, 0, opI32Const, 20, 0x28, 2, 0, opLocalGet, 0, 0xc0, opI32Add),
		args: []uint64{0xff}, want: []uint64{5}, units: 0,
	},
}

func TestUnits(t *testing.T) {
	for _, c := range units {
		t.Run(c.name, func(t *testing.T) {
			wasm := c.src.wasm()
			plain, err := start(t, wasm, nil)
			require.NoError(t, err)
			got, err := plain.call(c.args...)
			require.NoError(t, err)
			require.Equal(t, c.want, got, "without metering")
			for _, every := range []uint32{1, 3, 1000, DefaultEvery} {
				t.Run(fmt.Sprint(every), func(t *testing.T) {
					metered, err := Rewrite(wasm, Options{Every: every})
					require.NoError(t, err)
					g, err := start(t, metered, nil)
					require.NoError(t, err)
					got, err := g.call(c.args...)
					require.NoError(t, err)
					require.Equal(t, c.want, got)
					require.Equal(t, c.units/uint64(every), g.ticks, "ticks for %d units", c.units)
				})
			}
		})
	}
}

// What is left over of one call counts for the next.
func TestTicksAreExactOverManyCalls(t *testing.T) {
	metered, err := Rewrite(units[1].src.wasm(), Options{Every: 100})
	require.NoError(t, err)
	g, err := start(t, metered, nil)
	require.NoError(t, err)
	for call := range uint64(100) {
		_, err := g.call(33)
		require.NoError(t, err)
		require.Equal(t, 33*(call+1)/100, g.ticks)
	}
}

// The module's own calls of the host function are ticks besides those of its units.
func TestAGuestMayTickItself(t *testing.T) {
	src := source{
		types: list(signatureOf("", "")), imports: list(importFunction(ImportModule, ImportName, 0)), functions: list(u32(0)),
		exports: list(export(1)), codes: list(code(0, opCall, 0, opCall, 0)),
	}
	metered, err := Rewrite(src.wasm(), Options{})
	require.NoError(t, err)
	g, err := start(t, metered, nil)
	require.NoError(t, err)
	for range 8 {
		_, err = g.call()
		require.NoError(t, err)
	}
	require.Equal(t, uint64(8*(1+2*hostCallUnits))/DefaultEvery+8*2, g.ticks)
}

func TestNamesKeepTheirFunctions(t *testing.T) {
	src := source{
		types: list(signatureOf("", ""), signatureOf("i", "i")), imports: list(importFunction("host", "next", 1)), functions: list(u32(0), u32(0)),
		exports: list(export(2)), codes: list(code(0, opUnreachable), code(0, opCall, 1)),
	}
	inner, outer := cat([]byte{1}, str("inner")), cat([]byte{2}, str("outer"))
	functions := cat([]byte{2}, inner, outer)
	locals := cat([]byte{1, 1, 1, 0}, str("x"))
	src.names = cat([]byte{moduleName, 5}, str("this"), []byte{functionNames, byte(len(functions))}, functions, []byte{localNames, byte(len(locals))}, locals, []byte{9, 1, 0})
	metered, err := Rewrite(src.wasm(), Options{})
	require.NoError(t, err)
	g, err := start(t, metered, nil)
	require.NoError(t, err)
	_, err = g.call()
	require.ErrorContains(t, err, "this.inner()\n\tthis.outer()")

	src.names = cat([]byte{functionNames, byte(len(functions) + 1)}, functions, []byte{7})
	metered, err = Rewrite(src.wasm(), Options{})
	require.NoError(t, err)
	require.NotContains(t, string(metered), "inner", "malformed names are left out")
	require.NoError(t, compiles(metered))
}
