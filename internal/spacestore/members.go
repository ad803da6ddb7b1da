package spacestore

import (
	"encoding/binary"
	"errors"

	"github.com/joinery-crdt/joinery/internal/varint"
	"github.com/joinery-crdt/joinery/merge"
	"github.com/joinery-crdt/joinery/store"
	crdtsync "github.com/joinery-crdt/joinery/sync"
)

// Versions of what is kept of a member. The first took every cut that seemed to be
// in common for one that was: of it only that is kept.
const (
	memberVersion      = 2
	memberVersionGuess = 1
)

// SetMember writes what is known of a member.
func SetMember(tx store.Tx, space string, m *crdtsync.Member) error {
	hub := byte(0)
	if m.Hub {
		hub = 1
	}
	b := []byte{memberVersion, hub}
	for _, n := range [...]uint64{m.Turns, m.Seen, m.Common.Position} {
		b = binary.AppendUvarint(b, n)
	}
	b = binary.BigEndian.AppendUint64(b, m.Common.Print)
	b = binary.BigEndian.AppendUint64(binary.AppendUvarint(b, m.Last.Position), m.Last.Print)
	b = varint.AppendString(b, m.Name)
	beyond := m.Beyond
	if beyond == nil {
		beyond = &merge.VersionVector{}
	}
	b, err := beyond.AppendBinary(b)
	if err != nil {
		return err
	}
	return tx.Put(space, store.Acks, m.Origin[:], b)
}

// Members returns what is known of the members of a space, by origin.
func Members(r store.Reader, space string) (members []*crdtsync.Member, err error) {
	for rec, err := range r.Scan(space, store.Acks, store.Range{}) {
		if err != nil {
			return nil, err
		}
		m, err := readMember(rec)
		if err != nil {
			return nil, corrupt(space, store.Acks, rec.Key, err)
		}
		members = append(members, m)
	}
	return members, nil
}

func readCursor(r *varint.Reader) (c crdtsync.Cursor) {
	c.Position = r.Uvarint()
	c.Print = readPrint(r)
	return c
}

func readMember(rec store.Record) (*crdtsync.Member, error) {
	m := &crdtsync.Member{}
	if len(rec.Key) != len(m.Origin) {
		return nil, errors.New("not an origin")
	}
	copy(m.Origin[:], rec.Key)
	r := varint.NewReader("member", rec.Value)
	version := r.Byte()
	if version != memberVersion && version != memberVersionGuess {
		r.Fail("unknown version")
	}
	hub := r.Byte()
	if m.Hub = hub == 1; hub > 1 {
		r.Fail("neither a hub nor none")
	}
	m.Turns, m.Seen = r.Uvarint(), r.Uvarint()
	m.Common = readCursor(r)
	if m.Last = m.Common; version == memberVersionGuess {
		m.Common = crdtsync.Cursor{}
	} else {
		m.Last = readCursor(r)
	}
	m.Name = string(r.Bytes())
	m.Beyond = merge.ReadVector(r)
	return m, r.Done()
}
