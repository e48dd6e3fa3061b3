package interpreters

import "github.com/tetratelabs/wazero/experimental"

const pageSize = 64 << 10

// firstAhead is room for what Go's runtime takes as it starts, a page or two.
const firstAhead = 8 * pageSize

// A memory is what an instance has for its linear memory: at most limit bytes, of this program's own heap.
type memory struct {
	limit uint64
	bytes []byte
}

// Allocate implements [experimental.MemoryAllocator].
func (m *memory) Allocate(_, _ uint64) experimental.LinearMemory { return m }

// Reallocate makes room ahead: a memory grows by many small steps, and each would copy all of it.
func (m *memory) Reallocate(size uint64) []byte {
	if size > m.limit {
		return nil
	}
	if size > uint64(cap(m.bytes)) {
		ahead := size / 2
		if m.bytes == nil {
			ahead = firstAhead
		}
		grown := make([]byte, size, min(m.limit, size+ahead))
		copy(grown, m.bytes)
		m.bytes = grown
	}
	m.bytes = m.bytes[:size]
	return m.bytes
}

// Free implements [experimental.LinearMemory]. The collector takes it when nothing refers to it.
func (m *memory) Free() { m.bytes = nil }
