package wire

import (
	"cmp"
	"fmt"

	crdtsync "github.com/joinery-crdt/joinery/sync"
)

// Limits of comparing.
const (
	MaxCompare     = 128 << 10 // bytes of a question or an answer, and of what a Repair wants
	MaxRepairCells = MaxChanges
)

type audit struct {
	Space  string `cbor:"1,keyasint"`
	Digest []byte `cbor:"2,keyasint"`
}

func (b *audit) check() error {
	if len(b.Digest) != len(crdtsync.Digest{}) {
		return fmt.Errorf("a digest of %d bytes", len(b.Digest))
	}
	return checkSpace(b.Space)
}

func (b *audit) frame() crdtsync.Frame {
	return &crdtsync.Audit{Space: b.Space, Digest: crdtsync.Digest(b.Digest)}
}

type audited struct {
	Space string `cbor:"1,keyasint"`
	Code  uint64 `cbor:"2,keyasint"`
}

func (b *audited) check() error {
	return cmp.Or(checkSpace(b.Space), checkNumber("code", b.Code, crdtsync.AuditUnread))
}

func (b *audited) frame() crdtsync.Frame { return &crdtsync.Audited{Space: b.Space, Code: b.Code} }

type compare struct {
	Space string `cbor:"1,keyasint"`
	What  uint64 `cbor:"2,keyasint"`
	Body  []byte `cbor:"3,keyasint"`
}

func (b *compare) check() error {
	return cmp.Or(checkSpace(b.Space), checkNumber("kind of comparison", b.What, crdtsync.CompareStream),
		checkNumber("length", uint64(len(b.Body)), MaxCompare))
}

func (b *compare) frame() crdtsync.Frame {
	return &crdtsync.Compare{Space: b.Space, What: b.What, Body: b.Body}
}

type repair struct {
	Space   string   `cbor:"1,keyasint"`
	Applied []byte   `cbor:"2,keyasint"`
	Stage   uint64   `cbor:"3,keyasint"`
	Wanted  []byte   `cbor:"4,keyasint"`
	Cells   [][]byte `cbor:"5,keyasint"`
}

func (b *repair) check() error {
	if _, ok := crdtsync.ParseFingerprint(b.Applied); !ok {
		return fmt.Errorf("a fingerprint of %d bytes", len(b.Applied))
	}
	for _, cell := range b.Cells {
		if _, err := crdtsync.ParseMendCell(cell); err != nil {
			return err
		}
	}
	return cmp.Or(checkSpace(b.Space), checkNumber("stage", b.Stage, crdtsync.RepairNews),
		checkNumber("number of cells", uint64(len(b.Cells)), MaxRepairCells),
		checkNumber("length", uint64(len(b.Wanted)), MaxCompare))
}

func (b *repair) frame() crdtsync.Frame {
	applied, _ := crdtsync.ParseFingerprint(b.Applied)
	return &crdtsync.Repair{Space: b.Space, Applied: applied, Stage: b.Stage, Wanted: b.Wanted, Cells: b.Cells}
}

func checkNumber(what string, n, limit uint64) error {
	if n > limit {
		return fmt.Errorf("a %s of %d, the largest is %d", what, n, limit)
	}
	return nil
}
