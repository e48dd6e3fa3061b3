package meter

import (
	"bytes"
	"slices"
)

// A source is a module by its sections, each item as bytes.
type source struct {
	types, imports, functions, tables, memories, globals, exports, elements, codes, data [][]byte
	start, dataCount, names                                                              []byte
}

func (s source) wasm() []byte {
	out := slices.Clone(header)
	for _, section := range []struct {
		id    byte
		items [][]byte
	}{{typeSection, s.types}, {importSection, s.imports}, {functionSection, s.functions}, {tableSection, s.tables}, {memorySection, s.memories},
		{globalSection, s.globals}, {exportSection, s.exports}, {startSection, [][]byte{s.start}}, {elementSection, s.elements},
		{dataCountSection, [][]byte{s.dataCount}}, {codeSection, s.codes}, {dataSection, s.data}} {
		switch body := bytes.Join(section.items, nil); {
		case len(body) == 0:
		case section.id == startSection, section.id == dataCountSection:
			out = appendSection(out, section.id, body)
		default:
			out = appendSection(out, section.id, append(appendU32(nil, uint32(len(section.items))), body...))
		}
	}
	if s.names != nil {
		out = appendSection(out, customSection, cat(str("name"), s.names))
	}
	return out
}

func cat(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

func list(items ...[]byte) [][]byte { return items }

func str(s string) []byte { return appendString(nil, s) }

func u32(v uint32) []byte { return appendU32(nil, v) }

// code is a function's code without locals of its own but so many of i32; the end is added.
func code(locals uint32, ops ...byte) []byte {
	body := []byte{0}
	if locals > 0 {
		body = cat([]byte{1}, u32(locals), []byte{typeI32})
	}
	body = append(append(body, ops...), opEnd)
	return append(u32(uint32(len(body))), body...)
}

func signatureOf(params, results string) []byte {
	kinds := map[rune]byte{'i': typeI32, 'I': 0x7e, 'v': 0x7b, 'r': funcref}
	out := append([]byte{typeFunc}, u32(uint32(len(params)))...)
	for _, c := range params {
		out = append(out, kinds[c])
	}
	out = append(out, u32(uint32(len(results)))...)
	for _, c := range results {
		out = append(out, kinds[c])
	}
	return out
}

// export gives function f the name that the tests call.
func export(f uint32) []byte { return cat(str("f"), []byte{kindFunction}, u32(f)) }

func importFunction(module, name string, t uint32) []byte {
	return cat(str(module), str(name), []byte{kindFunction}, u32(t))
}

// one is a module of one exported function of i32s, with a memory of one page.
func one(params, results string, locals uint32, ops ...byte) source {
	return source{
		types: list(signatureOf(params, results)), functions: list(u32(0)), memories: list([]byte{0, 1}),
		exports: list(export(0)), codes: list(code(locals, ops...)),
	}
}
