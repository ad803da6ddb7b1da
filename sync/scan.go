package sync

import (
	"crypto/sha256"

	"github.com/joinery-crdt/joinery/sync/recon"
)

// A Scan is the cells of a space as they lie in the store, which is not what
// the summary beside them says if the storage is damaged. The driver makes it in
// one snapshot and adds every cell, in the order of their keys.
type Scan struct {
	Summary Summary // as stored
	cells   Fingerprint
	index   recon.Index
}

// NewScan returns a scan that has met no cell yet.
func NewScan(stored Summary) *Scan { return &Scan{Summary: stored} }

// Add takes the next cell. It retains nothing.
func (s *Scan) Add(key, state []byte) {
	p := cellPrint(string(key), state)
	s.cells.add(p)
	s.index.Append(key, recon.Print{p[0], p[1]})
}

// Len returns the number of cells.
func (s *Scan) Len() int { return s.index.Len() }

// Cells returns the fingerprint of the cells that are there.
func (s *Scan) Cells() Fingerprint { return s.cells }

// Damage returns what the summary's fingerprint of the cells is off by, for
// [Stage.Correct]. It is zero unless cells have changed behind the node's back.
func (s *Scan) Damage() Fingerprint {
	off := s.cells
	off.sub(s.Summary.Cells)
	return off
}

// A Digest is the root of two comparisons at once: of the changes that are
// applied and of the cells.
type Digest [16]byte

func (s *Scan) digest() Digest {
	h := sha256.Sum256(append(s.Summary.Applied.Bytes(), s.cells.Bytes()...))
	return Digest(h[:16])
}
