package merge

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"

	"github.com/google/uuid"
)

// An Origin is the 128-bit random identity of one incarnation of a replica. A
// restored or copied replica takes a new one before its first change.
type Origin uuid.UUID

// String returns the usual hyphenated form.
func (o Origin) String() string { return uuid.UUID(o).String() }

// Compare orders origins by their bytes.
func (o Origin) Compare(p Origin) int { return bytes.Compare(o[:], p[:]) }

// before is Compare below 0, for searches: two words in place of 16 bytes.
func (o *Origin) before(p *Origin) bool {
	if a, b := binary.BigEndian.Uint64(o[:8]), binary.BigEndian.Uint64(p[:8]); a != b {
		return a < b
	}
	return binary.BigEndian.Uint64(o[8:]) < binary.BigEndian.Uint64(p[8:])
}

// MarshalText returns the form of String.
func (o Origin) MarshalText() ([]byte, error) { return uuid.UUID(o).MarshalText() }

// UnmarshalText reads what ParseOrigin reads.
func (o *Origin) UnmarshalText(text []byte) (err error) {
	*o, err = ParseOrigin(string(text))
	return err
}

// ParseOrigin reads the form that String writes and no other.
func ParseOrigin(s string) (Origin, error) {
	u, err := uuid.Parse(s)
	if err != nil || u.String() != s {
		return Origin{}, fmt.Errorf("merge: origin %.64q is not a lower-case hyphenated UUID", s)
	}
	return Origin(u), nil
}

// MaxSeq is the largest sequence number. Decoders refuse larger ones, so that
// no peer can bring an origin to the end of its numbers.
const MaxSeq = 1 << 60

// A Dot names one change: the seq-th of its origin, counted from 1 without
// gaps. A Dot with Seq 0 names nothing.
type Dot struct {
	Origin Origin
	Seq    uint64
}

// Compare orders dots by origin, then by sequence number.
func (d Dot) Compare(e Dot) int {
	if d.Origin != e.Origin {
		return d.Origin.Compare(e.Origin)
	}
	return cmp.Compare(d.Seq, e.Seq)
}

// String returns origin/seq.
func (d Dot) String() string { return fmt.Sprintf("%s/%d", d.Origin, d.Seq) }

// Dots is a set of dots that can be asked for one: a [*Context], a
// [*VersionVector] or a [DotSet].
type Dots interface {
	// Contains reports whether the dot is in the set.
	Contains(Dot) bool
}
