package boltstore

// An arena hands out memory for the writes of one group. It is reused for the
// next: bbolt has written them to the file by then.
type arena struct {
	chunk []byte // its length is what is used
}

// maxChunk bounds what an arena keeps, in bytes.
const maxChunk = 1 << 20

// alloc returns an empty slice with a capacity of n bytes.
func (a *arena) alloc(n int) []byte {
	if cap(a.chunk)-len(a.chunk) < n {
		a.chunk = make([]byte, 0, max(n, min(2*cap(a.chunk), maxChunk), 1<<10))
	}
	used := len(a.chunk)
	a.chunk = a.chunk[:used+n]
	return a.chunk[used : used : used+n]
}

// reset takes all memory back.
func (a *arena) reset() {
	if cap(a.chunk) > maxChunk {
		a.chunk = nil
	}
	a.chunk = a.chunk[:0]
}
