package sync

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"math/bits"

	"github.com/joinery-crdt/joinery/internal/varint"
	"github.com/joinery-crdt/joinery/merge"
)

// A Fingerprint is the sum modulo 2^256 of the SHA-256 of each member of a set:
// independent of order, and updated in O(1) when a member comes or goes. The
// zero value is the fingerprint of the empty set.
//
// It finds accidents and bugs. It is no defence against a peer that searches
// for colliding sets.
type Fingerprint [4]uint64

// Bytes returns the 32-byte form.
func (f Fingerprint) Bytes() []byte {
	b := make([]byte, 0, 8*len(f))
	for _, limb := range f {
		b = binary.LittleEndian.AppendUint64(b, limb)
	}
	return b
}

// ParseFingerprint reads the form of Bytes and reports false for another length.
func ParseFingerprint(b []byte) (f Fingerprint, ok bool) {
	if len(b) != 8*len(f) {
		return f, false
	}
	for i := range f {
		f[i] = binary.LittleEndian.Uint64(b[8*i:])
	}
	return f, true
}

// String returns the hexadecimal form.
func (f Fingerprint) String() string { return hex.EncodeToString(f.Bytes()) }

func (f *Fingerprint) add(g Fingerprint) {
	var carry uint64
	for i := range f {
		f[i], carry = bits.Add64(f[i], g[i], carry)
	}
}

func (f *Fingerprint) sub(g Fingerprint) {
	var borrow uint64
	for i := range f {
		f[i], borrow = bits.Sub64(f[i], g[i], borrow)
	}
}

// replaceCell takes the cell's state before out and puts the state after in. A
// nil state is an absent cell.
func (f *Fingerprint) replaceCell(key string, before, after []byte) {
	if before != nil {
		f.sub(cellPrint(key, before))
	}
	if after != nil {
		f.add(cellPrint(key, after))
	}
}

// moveHead takes the old head of an origin out and puts the new one in.
func (f *Fingerprint) moveHead(o merge.Origin, from, to uint64) {
	if from > 0 {
		f.sub(headPrint(o, from))
	}
	if to > 0 {
		f.add(headPrint(o, to))
	}
}

// moveChain is moveHead for the fingerprint of the heads' hashes.
func (f *Fingerprint) moveChain(o merge.Origin, from, to Head) {
	if from.Seq == to.Seq && from.Hash == to.Hash {
		return
	}
	if from.Seq > 0 {
		f.sub(chainPrint(o, from))
	}
	if to.Seq > 0 {
		f.add(chainPrint(o, to))
	}
}

func cellPrint(key string, state []byte) Fingerprint {
	b := make([]byte, 0, 512) // on the stack, and enough for most
	return sum(append(varint.AppendString(b, key), state...))
}

func headPrint(o merge.Origin, seq uint64) Fingerprint {
	return sum(binary.BigEndian.AppendUint64(append(make([]byte, 0, 24), o[:]...), seq))
}

func chainPrint(o merge.Origin, h Head) Fingerprint {
	b := binary.BigEndian.AppendUint64(append(make([]byte, 0, 56), o[:]...), h.Seq)
	return sum(append(b, h.Hash[:]...))
}

func sum(b []byte) Fingerprint {
	h := sha256.Sum256(b)
	f, _ := ParseFingerprint(h[:])
	return f
}
