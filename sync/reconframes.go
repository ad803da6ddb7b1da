package sync

import (
	"github.com/joinery-crdt/joinery/internal/varint"
)

// Audit asks whether the peer, having applied the same changes, holds the same
// cells: rung 3 of the anti-entropy ladder. Both sides read their cells for it.
type Audit struct {
	Space  string
	Digest Digest
}

// Audited answers an Audit when there is nothing to compare.
type Audited struct {
	Space string
	Code  uint64 // AuditEqual, AuditMoved or AuditUnread
}

// Codes of Audited.
const (
	AuditEqual  = 0 // the same cells
	AuditMoved  = 1 // the sender has applied other changes, now or by then
	AuditUnread = 2 // the sender has ops it cannot apply
)

// Compare is a question about two sets of cells that differ, or its answer.
type Compare struct {
	Space string
	What  uint64 // CompareDiffer and so on
	Body  []byte
}

// What a Compare says, and its body.
const (
	CompareDiffer     = 1 // answers Audit and CompareExpected: key, string ranges, string sums, symbols from 0
	CompareAskSymbols = 2 // uvarint from, uvarint end
	CompareSymbols    = 3 // uvarint from, symbols; none says that there are no more
	CompareAskSums    = 4 // uvarint number, ranges
	CompareSums       = 5 // uvarint number, sums
	CompareExpected   = 6 // in place of Audit: digest, key, string ranges, sums
	CompareStream     = 7 // answers CompareExpected: key, uvarint end, symbols from 0; more follow until end
)

// Repair carries cells that the sender holds differently, for the receiver
// to mend its own by.
type Repair struct {
	Space   string
	Applied Fingerprint // cells are compared between equals only
	Stage   uint64      // RepairAsk and so on
	Wanted  []byte      // which of the receiver's cells the sender lacks; only with RepairAsk
	Cells   [][]byte    // of AppendCell
}

// Stages of a Repair.
const (
	RepairTell = 1 // of the side that compares, more follow
	RepairAsk  = 2 // its last: answer when these are mended, with what is wanted or came out differently
	RepairMore = 3 // an answer, more follow
	RepairLast = 4 // an answer, the last
	RepairNews = 5 // what came out differently from the answer
)

func (*Audit) frame()   {}
func (*Audited) frame() {}
func (*Compare) frame() {}
func (*Repair) frame()  {}

const (
	cellAbsent   = 1
	cellProved   = 2
	cellWithheld = 4

	// Bytes of a state, in a frame and in one that goes in pieces.
	maxCellSent = 200 << 10
	maxCellLong = MaxLong - 64<<10
)

// AppendBinary appends the form in which a Repair carries a cell:
//
//	byte flags (1 absent, 2 proved, 4 withheld), string key, state
//
// A state that does not fit into a frame is withheld.
func (c *MendCell) AppendBinary(dst []byte) ([]byte, error) {
	return c.appendWithin(dst, maxCellSent), nil
}

// appendWithin withholds a state of more than most bytes.
func (c *MendCell) appendWithin(dst []byte, most int) []byte {
	flags, state := byte(0), c.State
	if c.Proved {
		flags = cellProved
	}
	switch {
	case c.Withheld || len(state) > most:
		flags, state = flags|cellWithheld, nil
	case state == nil:
		flags |= cellAbsent
	}
	return append(varint.AppendBytes(append(dst, flags), c.Key), state...)
}

// ParseMendCell reads the form of AppendBinary and nothing else. The result aliases b.
func ParseMendCell(b []byte) (c MendCell, err error) {
	r := varint.NewReader("sync: cell to mend", b)
	flags := r.Byte()
	c.Key = r.Bytes()
	state := r.Fixed(r.Len())
	none := flags & (cellAbsent | cellWithheld)
	if flags > 7 || none == cellAbsent|cellWithheld || none != 0 && len(state) > 0 {
		r.Fail("flags that do not go together, or with a state")
	}
	if _, err := ParseCellKey(c.Key); err != nil {
		r.Fail("not the key of a cell")
	}
	c.Proved, c.Withheld = flags&cellProved != 0, none == cellWithheld
	if none == 0 {
		c.State = state
	}
	return c, r.Done()
}
