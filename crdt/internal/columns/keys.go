package columns

import "slices"

// A place is where a key begins: the number of its chunk and its offset there.
type place uint64

const chunkBits = 16

func (p place) chunk() int  { return int(p >> chunkBits) }
func (p place) offset() int { return int(p & (1<<chunkBits - 1)) }

// keys are the keys of all slots, one after the other. None is in two chunks.
// Chunks are only ever appended to, so a full one may be shared.
type keys struct {
	chunks [][]byte
}

// reserve makes room for n bytes in the last chunk and returns where they begin.
func (a *keys) reserve(n int) place {
	last := len(a.chunks) - 1
	switch {
	case last < 0:
		a.chunks = append(a.chunks, make([]byte, 0, max(512, n)))
	case len(a.chunks[last])+n <= cap(a.chunks[last]):
	case last == 0 && len(a.chunks[0])+n <= 1<<chunkBits: // small tables are small
		grown := make([]byte, 0, min(1<<chunkBits, 2*(len(a.chunks[0])+n)))
		a.chunks[0] = append(grown, a.chunks[0]...)
	default:
		a.chunks = append(a.chunks, make([]byte, 0, 1<<chunkBits))
	}
	last = len(a.chunks) - 1
	return place(last)<<chunkBits | place(len(a.chunks[last]))
}

// add appends k and returns where it begins.
func (a *keys) add(k *Key) place {
	p := a.reserve(k.size())
	last := &a.chunks[p.chunk()]
	*last = k.appendTo(*last)
	return p
}

// from returns what stands in the chunk from p on, which begins with a key.
func (a *keys) from(p place) []byte { return a.chunks[p.chunk()][p.offset():] }

// between returns the key that begins at p, behind which the next begins at end.
func (a *keys) between(p, end place) []byte {
	chunk := a.chunks[p.chunk()]
	if end.chunk() == p.chunk() {
		return chunk[p.offset():end.offset()]
	}
	return chunk[p.offset():]
}

// end returns where the next key would begin if it needed no room.
func (a *keys) end() place {
	last := len(a.chunks) - 1
	if last < 0 {
		return 0
	}
	return place(last)<<chunkBits + place(len(a.chunks[last]))
}

func (a *keys) clone() keys {
	chunks := slices.Clone(a.chunks)
	if last := len(chunks) - 1; last >= 0 {
		chunks[last] = slices.Clone(chunks[last])
	}
	return keys{chunks}
}
