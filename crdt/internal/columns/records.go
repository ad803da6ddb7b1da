package columns

import (
	"encoding/binary"
	"iter"
)

// Records are the keys of a table, one after the other, each behind its dot and
// its length, so that to find a key and its dot is one look at memory. A record
// is named by where it begins, in units of 4 bytes.
type records struct {
	chunks [][]byte
	n      int    // records, with a dot or not
	moves  uint64 // how often records were copied or renumbered
}

const (
	unit       = 4
	chunkBytes = 1 << 16
	chunkUnits = chunkBytes / unit
	keyAt      = 10 // where in a record the key begins
)

// span returns how long the record of a key of n bytes is.
func span(n int) int { return (keyAt + n + unit - 1) &^ (unit - 1) }

// from returns the chunk from a record on.
func (r *records) from(at uint32) []byte { return r.chunks[at/chunkUnits][at%chunkUnits*unit:] }

func (r *records) dot(at uint32) packed { return packed(binary.LittleEndian.Uint64(r.from(at))) }

func (r *records) setDot(at uint32, p packed) { binary.LittleEndian.PutUint64(r.from(at), uint64(p)) }

// key returns the key of a record, which must not be modified or kept.
func (r *records) key(at uint32) []byte { return keyOf(r.from(at)) }

func keyOf(record []byte) []byte {
	end := keyAt + int(binary.LittleEndian.Uint16(record[8:]))
	return record[keyAt:end:end]
}

// add appends a record of k without a dot.
func (r *records) add(k *Key) uint32 {
	size := span(k.size())
	last := r.reserve(size)
	chunk := r.chunks[last]
	begin := len(chunk)
	chunk = chunk[:begin+size]
	r.chunks[last] = chunk
	record := chunk[begin:]
	binary.LittleEndian.PutUint16(record[8:], uint16(k.size()))
	k.appendTo(record[keyAt:keyAt])
	r.n++
	return uint32(last)*chunkUnits + uint32(begin/unit)
}

// reserve makes room for size bytes in the last chunk, and returns its number.
func (r *records) reserve(size int) int {
	last := len(r.chunks) - 1
	switch {
	case last < 0:
		r.chunks = append(r.chunks, make([]byte, 0, max(512, size)))
	case len(r.chunks[last])+size <= cap(r.chunks[last]):
	case len(r.chunks[last])+size <= chunkBytes: // small tables are small
		grown := make([]byte, 0, min(chunkBytes, 2*(len(r.chunks[last])+size)))
		r.chunks[last] = append(grown, r.chunks[last]...)
		r.moves++
	case last+1 == 1<<32/chunkUnits:
		panic("columns: more than 16 GiB of keys")
	default:
		r.chunks = append(r.chunks, make([]byte, 0, chunkBytes))
	}
	return len(r.chunks) - 1
}

// all yields the records that are there when it begins, in the order in which
// they were added.
func (r *records) all() iter.Seq2[uint32, []byte] {
	chunks := r.chunks
	return func(yield func(uint32, []byte) bool) {
		for i, chunk := range chunks {
			for off := 0; off < len(chunk); {
				record := chunk[off:]
				size := span(int(binary.LittleEndian.Uint16(record[8:])))
				if !yield(uint32(i)*chunkUnits+uint32(off/unit), record[:size:size]) {
					return
				}
				off += size
			}
		}
	}
}

func dotOf(record []byte) packed { return packed(binary.LittleEndian.Uint64(record)) }

func (r *records) clone() records {
	c := records{make([][]byte, len(r.chunks)), r.n, r.moves}
	for i, chunk := range r.chunks {
		c.chunks[i] = append(make([]byte, 0, cap(chunk)), chunk...)
	}
	return c
}
