package meter

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
