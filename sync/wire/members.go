package wire

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/joinery-crdt/joinery/internal/varint"
	"github.com/joinery-crdt/joinery/merge"
	crdtsync "github.com/joinery-crdt/joinery/sync"
)

type members struct {
	Space   string   `cbor:"1,keyasint"`
	Members [][]byte `cbor:"2,keyasint"`
}

func (b *members) check() error {
	_, err := readMembers(b.Members)
	return cmp.Or(checkSpace(b.Space), err)
}

func (b *members) frame() crdtsync.Frame {
	list, _ := readMembers(b.Members)
	return &crdtsync.Members{Space: b.Space, Members: list}
}

func appendMembers(list []*crdtsync.Member) (out [][]byte) {
	for _, m := range list {
		out = append(out, appendMember(nil, m))
	}
	return out
}

// appendMember appends origin, hub, turns, seen, position, print, name, vector.
func appendMember(b []byte, m *crdtsync.Member) []byte {
	b = append(b, m.Origin[:]...)
	hub := byte(0)
	if m.Hub {
		hub = 1
	}
	b = append(b, hub)
	b = binary.AppendUvarint(b, m.Turns)
	b = binary.AppendUvarint(b, m.Seen)
	b = binary.AppendUvarint(b, m.Common.Position)
	b = binary.BigEndian.AppendUint64(b, m.Common.Print)
	b = varint.AppendString(b, m.Name)
	return append(b, appendVector(m.Beyond)...)
}

func readMembers(raw [][]byte) (list []*crdtsync.Member, err error) {
	if len(raw) > crdtsync.MaxMembers {
		return nil, fmt.Errorf("%d members, the limit is %d", len(raw), crdtsync.MaxMembers)
	}
	for _, b := range raw {
		m, err := readMember(b)
		if err != nil {
			return nil, err
		}
		list = append(list, m)
	}
	ascend := slices.IsSortedFunc(list, func(a, b *crdtsync.Member) int { return a.Origin.Compare(b.Origin) })
	for i := range max(len(list)-1, 0) {
		ascend = ascend && list[i].Origin != list[i+1].Origin
	}
	if !ascend {
		return nil, errors.New("members out of order")
	}
	return list, nil
}

func readMember(b []byte) (*crdtsync.Member, error) {
	m := &crdtsync.Member{}
	r := varint.NewReader("member", b)
	copy(m.Origin[:], r.Fixed(len(m.Origin)))
	hub := r.Byte()
	if m.Hub = hub == 1; hub > 1 {
		r.Fail("neither a hub nor none")
	}
	m.Turns, m.Seen, m.Common.Position = r.Uvarint(), r.Uvarint(), r.Uvarint()
	if print := r.Fixed(8); print != nil {
		m.Common.Print = binary.BigEndian.Uint64(print)
	}
	m.Name = string(r.Bytes())
	if err := checkText("name", m.Name, MaxName); err != nil {
		return nil, err
	}
	m.Beyond = merge.ReadVector(r)
	return m, r.Done()
}
