package meter

// hostCallUnits are the units of a call of a host function: few calls fit between two ticks, and a short call costs a guest little more fuel
// than the loop that would take as long.
const hostCallUnits = 1 << 10

// A gate stands before each host function. It has the same type, takes the units and calls it. Whatever names the host function,
// in calls, tables, exports or as a reference, names its gate after rewriting. Gates come after the module's own functions.
func (m *module) firstGate() uint32 {
	n := uint32(len(m.functions))
	if m.tickAdded {
		n++
	}
	return n
}

// encodeFunctions appends the types of the gates.
func (m *module) encodeFunctions() []byte {
	own, gates := m.functions[m.importedFunctions:], m.functions[:m.importedFunctions]
	dst := appendU32(nil, uint32(len(m.functions)))
	for _, functions := range [][]uint32{own, gates} {
		for _, t := range functions {
			dst = appendU32(dst, t)
		}
	}
	return dst
}

// appendGate writes the code of the gate before an imported function.
func (m *module) appendGate(dst []byte, imported int) []byte {
	params := uint32(m.types[m.functions[imported]].params)
	body := []byte{1, 1, typeI32}
	body = m.appendUnits(body, params, appendSigned([]byte{opI32Const}, hostCallUnits-1))
	for i := range params {
		body = appendU32(append(body, opLocalGet), i)
	}
	body = append(appendU32(append(body, opCall), uint32(imported)), opEnd)
	return append(appendU32(dst, uint32(len(body))), body...)
}
