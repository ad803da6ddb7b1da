package recon

import (
	"encoding/binary"
	"math"
)

// A Width is the size of the items of a sketch.
type Width uint8

const (
	// Bits32 is for items below 2^32; a symbol takes 7 bytes.
	Bits32 Width = 4
	// Bits64 is for any items; a symbol takes 11 bytes.
	Bits64 Width = 8
)

// sumMask is what a sum is modulo, less one.
func (w Width) sumMask() uint64 { return math.MaxUint64 >> (64 - 8*w) }

// checkSize is the size of a checksum in bytes. A wrong item that passes also has
// to be one that belongs where it is found, which makes it rarer by what it is
// off the front: about one decoding in 100,000 goes wrong, and is seen to.
const (
	checkSize = 3
	checkMask = 1<<(8*checkSize) - 1
)

// SymbolSize returns the number of bytes of a symbol.
func (w Width) SymbolSize() int { return int(w) + checkSize }

// symbol is the sum of the items that lie in one position, and of their
// checksums, modulo the widths of both.
type symbol struct {
	sum   uint64
	check uint32
}

func (s *symbol) add(item uint64, check uint32) {
	s.sum += item
	s.check += check
}

func (s *symbol) sub(item uint64, check uint32) {
	s.sum -= item
	s.check -= check
}

// appendSymbol appends the byte form, both numbers little-endian.
func (w Width) appendSymbol(dst []byte, s symbol) []byte {
	var b [12]byte
	binary.LittleEndian.PutUint64(b[:], s.sum)
	binary.LittleEndian.PutUint32(b[w:], s.check)
	return append(dst, b[:w.SymbolSize()]...)
}

// symbol reads the byte form.
func (w Width) symbol(b []byte) symbol {
	var padded [12]byte
	copy(padded[:], b[:w])
	copy(padded[8:], b[w:w.SymbolSize()])
	return symbol{binary.LittleEndian.Uint64(padded[:]), binary.LittleEndian.Uint32(padded[8:])}
}

// coder knows checksums and positions under one key.
type coder struct {
	width Width
	sip   sipState
}

func newCoder(key Key, w Width) coder { return coder{w, key.sip()} }

// check returns the checksum of an item out of its hash.
func (c coder) check(hash uint64) uint32 { return uint32(hash) & checkMask }

// walk is the ascending sequence of the positions of one item: 0, and position
// i with probability 1/(1+i/2), independently of other items.
type walk struct {
	state uint64
	at    int
}

// farOff is beyond every position of a sketch that anybody can make.
const farOff = math.MaxInt32

func newWalk(hash uint64) walk { return walk{state: hash} }

// next moves on. The chance that the step from position i leads beyond j is
// close to ((i+1.5)/(j+1.5))^2, so the step is drawn from its inverse. Numbers
// are rounded the same way everywhere: no product here is part of a sum.
func (w *walk) next() {
	w.state += 0x9e3779b97f4a7c15
	z := w.state
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	z ^= z >> 31
	stretch := (1<<32)/math.Sqrt(float64(z|1)) - 1
	step := math.Ceil((float64(w.at) + 1.5) * stretch)
	if step >= float64(farOff-w.at) {
		w.at = farOff
		return
	}
	w.at += max(1, int(step))
}

// lies reports whether the item with the given hash is part of the symbol in position at.
func lies(hash uint64, at int) bool {
	w := newWalk(hash)
	for w.at < at {
		w.next()
	}
	return w.at == at
}
