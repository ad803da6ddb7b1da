package simnet

import (
	"github.com/joinery-crdt/joinery/internal/spacestore"
	"github.com/joinery-crdt/joinery/merge"
	"github.com/joinery-crdt/joinery/store"
	crdtsync "github.com/joinery-crdt/joinery/sync"
)

// remember keeps what a space has just applied for the links.
func (n *node) remember(space int, p *crdtsync.Persist) {
	if len(p.Merged) > 0 || p.Floor != nil {
		n.recent[space].Reset()
	}
	n.recent[space].Add(p.Log, p.Summary.Changes)
}

// Recall implements crdtsync.Recaller. Nodes of odd numbers remember nothing.
func (n *node) Recall(o *crdtsync.Outbox, count, size int) [][]byte {
	if n.id%2 != 0 {
		return nil
	}
	return n.recent[n.world.spaceIndex(o.Space())].After(o, count, size)
}

// Missing implements crdtsync.Gapper.
func (n *node) Missing(space string, count int) []merge.Dot {
	if s := n.spaces[n.world.spaceIndex(space)]; s != nil {
		return s.Missing(count)
	}
	return nil
}

// Spaces implements crdtsync.Local.
func (n *node) Spaces() (names []string) {
	for i, s := range n.spaces {
		if s != nil {
			names = append(names, n.world.spaces[i])
		}
	}
	return names
}

// Vector implements crdtsync.Local.
func (n *node) Vector(space string) *merge.VersionVector {
	if s := n.spaces[n.world.spaceIndex(space)]; s != nil {
		return s.Vector()
	}
	return &merge.VersionVector{}
}

// Head implements crdtsync.Local.
func (n *node) Head(space string, o merge.Origin) uint64 {
	if s := n.spaces[n.world.spaceIndex(space)]; s != nil {
		return s.Head(o).Seq
	}
	return 0
}

// Last implements crdtsync.Local.
func (n *node) Last(space string, o merge.Origin) (h crdtsync.Head) {
	if s := n.spaces[n.world.spaceIndex(space)]; s != nil {
		h = s.Head(o)
	}
	return h
}

// Summary implements crdtsync.Local.
func (n *node) Summary(space string) crdtsync.Summary {
	if s := n.spaces[n.world.spaceIndex(space)]; s != nil {
		return s.Summary()
	}
	return crdtsync.Summary{}
}

// Change implements crdtsync.Local.
func (n *node) Change(space string, d merge.Dot) (raw []byte, err error) {
	err = n.view(func(r store.Reader) (err error) {
		raw, err = spacestore.Change(r, space, d)
		return err
	})
	return raw, err
}
