package spacestore

import (
	"encoding/binary"
	"errors"
	"slices"

	"github.com/joinery-crdt/joinery/internal/varint"
	"github.com/joinery-crdt/joinery/merge"
	"github.com/joinery-crdt/joinery/store"
	crdtsync "github.com/joinery-crdt/joinery/sync"
)

// Former returns the origins that the store's node gave up because it found that
// it had been restored or copied, oldest first.
func Former(r store.Reader) (former []merge.Origin, err error) {
	b, err := r.Get("", store.Meta, formerKey)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	if err == nil && len(b)%len(merge.Origin{}) != 0 {
		err = corrupt("", store.Meta, formerKey, errors.New("not origins"))
	}
	if err != nil {
		return nil, err
	}
	for o := range slices.Chunk(b, len(merge.Origin{})) {
		former = append(former, merge.Origin(o))
	}
	return former, nil
}

// SetFormer remembers origins that the node gave up, oldest first.
func SetFormer(tx store.Tx, former []merge.Origin) error {
	var b []byte
	for _, o := range former {
		b = append(b, o[:]...)
	}
	return tx.Put("", store.Meta, formerKey, b)
}

// A Given is what a space keeps of an origin that its node gave up.
type Given struct {
	// Own is the last change of the origin that this node wrote. If more are
	// applied, the rest came from others.
	Own uint64
	// Taken is the first change that was taken back, and its hash, if one was.
	Taken crdtsync.Known
}

var givenPrefix = []byte("given\x00")

// SetGiven keeps g of an origin.
func SetGiven(tx store.Tx, space string, o merge.Origin, g Given) error {
	b := binary.AppendUvarint(nil, g.Own)
	b = binary.AppendUvarint(b, g.Taken.Dot.Seq)
	return tx.Put(space, store.Meta, slices.Concat(givenPrefix, o[:]), append(b, g.Taken.Hash[:]...))
}

// AllGiven returns what a space keeps of origins that its node gave up.
func AllGiven(r store.Reader, space string) (map[merge.Origin]Given, error) {
	all := make(map[merge.Origin]Given)
	for rec, err := range r.Scan(space, store.Meta, store.Range{Prefix: givenPrefix}) {
		if err != nil {
			return nil, err
		}
		var o merge.Origin
		copy(o[:], rec.Key[len(givenPrefix):])
		in := varint.NewReader("given-up origin", rec.Value)
		g := Given{Own: in.Uvarint()}
		g.Taken.Dot = merge.Dot{Origin: o, Seq: in.Uvarint()}
		copy(g.Taken.Hash[:], in.Fixed(len(g.Taken.Hash)))
		if err := in.Done(); err != nil {
			return nil, corrupt(space, store.Meta, rec.Key, err)
		}
		all[o] = g
	}
	return all, nil
}
