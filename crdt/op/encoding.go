package op

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/fxamacker/cbor/v2"

	"github.com/joinery-crdt/joinery/crdt"
	"github.com/joinery-crdt/joinery/hlc"
	"github.com/joinery-crdt/joinery/internal/varint"
	"github.com/joinery-crdt/joinery/merge"
)

const (
	formatName    = "op"
	formatVersion = 1
)

// An envelope is what a message is encoded in, as the stand-alone types are.
type envelope struct {
	Type    string `cbor:"1,keyasint"`
	Version uint64 `cbor:"2,keyasint"`
	Body    []byte `cbor:"3,keyasint"`
}

var (
	encMode = must(cbor.CoreDetEncOptions().EncMode())
	decMode = must(cbor.DecOptions{
		IndefLength: cbor.IndefLengthForbidden, TagsMd: cbor.TagsForbidden, DupMapKey: cbor.DupMapKeyEnforcedAPF,
	}.DecMode())
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// MarshalBinary returns the canonical form (docs/format.md). The error is a
// [*MessageError] about a message that no replica makes.
func (m *Message) MarshalBinary() ([]byte, error) { return m.AppendBinary(nil) }

// AppendBinary appends the form of MarshalBinary to dst.
func (m *Message) AppendBinary(dst []byte) ([]byte, error) {
	if err := m.check(); err != nil {
		return nil, err
	}
	b, err := encMode.Marshal(envelope{formatName, formatVersion, m.appendBody(nil)})
	return append(dst, b...), err
}

// UnmarshalBinary replaces the receiver by what b holds. It accepts what
// MarshalBinary writes and nothing else: the error is a [*merge.FormatError] or
// a [*MessageError], and then the receiver is unchanged. It does not retain b,
// and allocates at most 64 times b and 1 MiB.
func (m *Message) UnmarshalBinary(b []byte) error {
	var e envelope
	if err := decMode.Unmarshal(b, &e); err != nil {
		return &merge.FormatError{What: "op: message", Problem: "no envelope: " + err.Error()}
	}
	if e.Type != formatName || e.Version != formatVersion {
		return &merge.FormatError{
			What:    "op: message",
			Problem: fmt.Sprintf("a %.32q of version %d, this program reads %q of version %d", e.Type, e.Version, formatName, formatVersion),
		}
	}
	if again, err := encMode.Marshal(e); err != nil || !bytes.Equal(again, b) {
		return &merge.FormatError{What: "op: message", Problem: "an envelope that is not canonical"}
	}
	return m.readBody(e.Body)
}

// dotTable is the origins that the dots of a body refer to by index, ascending.
type dotTable []merge.Origin

// origins returns the table of a message.
func (m *Message) origins() dotTable {
	distinct := make(map[merge.Origin]struct{})
	var t dotTable
	add := func(dots []merge.Dot) {
		for _, d := range dots {
			if _, ok := distinct[d.Origin]; !ok {
				distinct[d.Origin] = struct{}{}
				t = append(t, d.Origin)
			}
		}
	}
	add(m.Deps)
	for i := range m.Ops {
		add(m.Ops[i].Seen)
	}
	slices.SortFunc(t, merge.Origin.Compare)
	return t
}

func (t dotTable) append(dst []byte, dots []merge.Dot) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(dots)))
	for _, d := range dots {
		i, _ := slices.BinarySearchFunc(t, d.Origin, merge.Origin.Compare)
		dst = binary.AppendUvarint(dst, uint64(i))
		dst = binary.AppendUvarint(dst, d.Seq)
	}
	return dst
}

func (t dotTable) read(r *varint.Reader) []merge.Dot {
	n := r.Count(2)
	if n == 0 {
		return nil
	}
	dots := make([]merge.Dot, n)
	for i := range dots {
		if at := r.Uvarint(); at < uint64(len(t)) {
			dots[i].Origin = t[at]
		} else {
			r.Fail("an origin beyond the table")
		}
		dots[i].Seq = r.Uvarint()
	}
	return dots
}

// appendBody appends a checked message without its envelope.
func (m *Message) appendBody(dst []byte) []byte {
	dst = binary.BigEndian.AppendUint64(dst, uint64(m.Time))
	dst = append(dst, m.Dot.Origin[:]...)
	dst = binary.AppendUvarint(dst, m.Dot.Seq)
	table := m.origins()
	dst = binary.AppendUvarint(dst, uint64(len(table)))
	for _, o := range table {
		dst = append(dst, o[:]...)
	}
	dst = table.append(dst, m.Deps)
	dst = binary.AppendUvarint(dst, uint64(len(m.Ops)))
	for rest := m.Ops; len(rest) > 0; {
		n := sameObject(rest)
		dst = varint.AppendString(varint.AppendString(dst, rest[0].Key), rest[0].Kind)
		dst = binary.AppendUvarint(dst, uint64(n))
		for i := range rest[:n] {
			dst = table.appendOp(dst, &rest[i])
		}
		rest = rest[n:]
	}
	return dst
}

// sameObject returns how many of the first ops are on one object.
func sameObject(ops []CellOp) int {
	for i := range ops {
		if ops[i].Key != ops[0].Key || ops[i].Kind != ops[0].Kind {
			return i
		}
	}
	return len(ops)
}

func (t dotTable) appendOp(dst []byte, op *CellOp) []byte {
	dst = varint.AppendString(dst, op.Element)
	dst = t.append(dst, op.Seen)
	if !op.Put {
		return append(dst, 0)
	}
	return varint.AppendBytes(append(dst, 1), op.Payload)
}

func (m *Message) readBody(body []byte) error {
	r := varint.NewReader("op: message", body)
	var read Message
	if b := r.Fixed(8); b != nil {
		read.Time = hlc.Timestamp(binary.BigEndian.Uint64(b))
	}
	read.Dot.Origin = readOrigin(r)
	read.Dot.Seq = r.Uvarint()
	table := make(dotTable, r.Count(len(merge.Origin{})))
	for i := range table {
		table[i] = readOrigin(r)
	}
	read.Deps = table.read(r)
	read.Ops = table.readOps(r)
	if err := r.Done(); err != nil {
		return err
	}
	if err := read.check(); err != nil {
		return err
	}
	if !bytes.Equal(read.appendBody(make([]byte, 0, len(body))), body) {
		r.Fail("bytes that are not canonical")
		return r.Err()
	}
	*m = read
	return nil
}

func readOrigin(r *varint.Reader) (o merge.Origin) {
	copy(o[:], r.Fixed(len(o)))
	return o
}

// minOp is the fewest bytes of an op.
const minOp = 3

// readOps reads ops, object by object. Payloads alias the body.
func (t dotTable) readOps(r *varint.Reader) []CellOp {
	total := r.Count(minOp)
	ops := make([]CellOp, 0, total)
	for len(ops) < total && r.Err() == nil {
		key, kind, n := string(r.Bytes()), string(r.Bytes()), r.Count(minOp)
		if n == 0 || n > total-len(ops) {
			r.Fail("an object without ops, or more ops than there are")
			return nil
		}
		for range n {
			op := CellOp{Cell: Cell{Key: key, Kind: kind, Element: string(r.Bytes())}}
			op.Op = crdt.Op{Seen: t.read(r)}
			switch r.Byte() {
			case 0:
			case 1:
				op.Put, op.Payload = true, r.Bytes()
			default:
				r.Fail("an op that neither puts nor does not")
			}
			ops = append(ops, op)
		}
	}
	return ops
}
