package spacestore

import (
	"encoding/binary"
	"errors"
	"time"

	"github.com/joinery-crdt/joinery/internal/varint"
	"github.com/joinery-crdt/joinery/merge"
	"github.com/joinery-crdt/joinery/store"
)

const heldVersion = 1

// A Held is a change that was refused and is kept where people see it.
type Held struct {
	Dot    merge.Dot
	Code   string
	Reason string
	From   string // who brought it
	At     time.Time
	Raw    []byte // as it came: perhaps no change at all
}

// Hold keeps a refused change, in place of another with its dot.
func Hold(tx store.Tx, space string, h Held) error {
	b := binary.AppendUvarint([]byte{heldVersion}, uint64(h.At.UnixMilli()))
	for _, s := range []string{h.Code, h.Reason, h.From} {
		b = varint.AppendString(b, s)
	}
	return tx.Put(space, store.Quarantine, logKey(h.Dot), varint.AppendBytes(b, h.Raw))
}

// Unhold forgets a refused change.
func Unhold(tx store.Tx, space string, d merge.Dot) error {
	return tx.Delete(space, store.Quarantine, logKey(d))
}

// AllHeld returns the refused changes of a space, ascending. A damaged record is
// a [*store.CorruptError].
func AllHeld(r store.Reader, space string) (list []Held, err error) {
	for rec, err := range r.Scan(space, store.Quarantine, store.Range{}) {
		if err != nil {
			return nil, err
		}
		h, err := readHeld(rec)
		if err != nil {
			return nil, corrupt(space, store.Quarantine, rec.Key, err)
		}
		list = append(list, h)
	}
	return list, nil
}

func readHeld(rec store.Record) (h Held, err error) {
	if len(rec.Key) != len(h.Dot.Origin)+8 {
		return h, errors.New("not a dot")
	}
	copy(h.Dot.Origin[:], rec.Key)
	h.Dot.Seq = binary.BigEndian.Uint64(rec.Key[len(h.Dot.Origin):])
	r := varint.NewReader("refused change", rec.Value)
	if r.Byte() != heldVersion {
		r.Fail("unknown version")
	}
	h.At = time.UnixMilli(int64(r.Uvarint()))
	h.Code, h.Reason, h.From = string(r.Bytes()), string(r.Bytes()), string(r.Bytes())
	h.Raw = append([]byte{}, r.Bytes()...)
	return h, r.Done()
}
