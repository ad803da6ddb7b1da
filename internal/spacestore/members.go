package spacestore

import (
	"encoding/binary"
	"errors"

	"github.com/joinery-crdt/joinery/internal/varint"
	"github.com/joinery-crdt/joinery/merge"
	"github.com/joinery-crdt/joinery/store"
	crdtsync "github.com/joinery-crdt/joinery/sync"
)

// A Member is what a node knows of another that keeps the same space.
type Member struct {
	Origin merge.Origin
	Name   string
	Seen   int64 // Unix seconds at which it was last heard, of it or about it
	// Hub says that it calls itself one, and Retired that people said it will
	// not come back.
	Hub, Retired bool
	// Common is the last cut that it and this node had in common, and Beyond
	// what else it has durably. Without a cut, Beyond is all.
	Common crdtsync.Cursor
	Beyond *merge.VersionVector
}

const memberVersion = 1

// Flags of a member.
const (
	flagHub     = 1
	flagRetired = 2
)

// SetMember writes what is known of a member.
func SetMember(tx store.Tx, space string, m *Member) error {
	b := append([]byte{memberVersion}, flagsOf(m))
	b = binary.AppendUvarint(b, uint64(m.Seen))
	b = binary.AppendUvarint(b, m.Common.Position)
	b = binary.BigEndian.AppendUint64(b, m.Common.Print)
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

func flagsOf(m *Member) (flags byte) {
	if m.Hub {
		flags |= flagHub
	}
	if m.Retired {
		flags |= flagRetired
	}
	return flags
}

// Members returns what is known of the members of a space, by origin.
func Members(r store.Reader, space string) (members []*Member, err error) {
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

func readMember(rec store.Record) (*Member, error) {
	m := &Member{}
	if len(rec.Key) != len(m.Origin) {
		return nil, errors.New("not an origin")
	}
	copy(m.Origin[:], rec.Key)
	r := varint.NewReader("member", rec.Value)
	if r.Byte() != memberVersion {
		r.Fail("unknown version")
	}
	flags := r.Byte()
	if flags > flagHub|flagRetired {
		r.Fail("unknown flags")
	}
	m.Hub, m.Retired = flags&flagHub != 0, flags&flagRetired != 0
	m.Seen = int64(r.Uvarint())
	m.Common = crdtsync.Cursor{Position: r.Uvarint(), Print: readPrint(r)}
	m.Name = string(r.Bytes())
	m.Beyond = merge.ReadVector(r)
	return m, r.Done()
}
