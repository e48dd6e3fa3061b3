package meter

// The parts of the name section that wazero reads.
const (
	moduleName    = 0
	functionNames = 1
	localNames    = 2
)

// appendNames writes the names of functions and locals, with the functions' new numbers. What is malformed in them is left out
// with everything after it: names do not make a module invalid.
func (m *module) appendNames(dst []byte) []byte {
	if m.names == nil {
		return dst
	}
	body := appendString(nil, "name")
	for r := m.names; r.more(); {
		id := r.byte()
		s := r.part()
		if r.err != nil {
			break
		}
		part := m.encodeNames(id, s)
		s.done("names")
		if s.err != nil {
			break
		}
		if part != nil {
			body = appendSection(body, id, part)
		}
	}
	return appendSection(dst, customSection, body)
}

func (m *module) encodeNames(id byte, r *reader) []byte {
	all := r.b[r.at:]
	var dst []byte
	switch id {
	case moduleName:
		r.bytes(r.u32())
		return all
	case functionNames, localNames:
		n := r.count(2)
		dst = appendU32(nil, uint32(n))
		for range n {
			dst = appendU32(dst, m.readIndex(r))
			at := r.at
			if id == functionNames {
				r.bytes(r.u32())
			} else {
				for range r.count(2) {
					r.u32()
					r.bytes(r.u32())
				}
			}
			if r.err != nil {
				return nil
			}
			dst = append(dst, r.b[at:r.at]...)
		}
		return dst
	default: // labels, types and others, which nobody reads
		r.at = len(r.b)
		return nil
	}
}
