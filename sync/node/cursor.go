package node

import (
	"github.com/joinery-crdt/joinery/internal/spacestore"
	"github.com/joinery-crdt/joinery/merge"
	"github.com/joinery-crdt/joinery/store"
	crdtsync "github.com/joinery-crdt/joinery/sync"
)

// Cut implements crdtsync.Cuts. A cut that cannot be read is one that is not
// known: the link steps down to the vector.
func (l locals) Cut(space string, c crdtsync.Cursor) (v *merge.VersionVector) {
	s := l.node.lookup(space)
	if s == nil {
		return nil
	}
	if s.summary().Cursor() == c {
		return s.Vector()
	}
	err := l.node.store.View(l.node.ctx, func(r store.Reader) (err error) {
		v, err = spacestore.Cut(r, space, c)
		return err
	})
	if err != nil {
		l.node.log.Warn("a cut cannot be read", "code", "cut_unreadable", "space", space, "err", err)
		return nil
	}
	return v
}

// Common implements crdtsync.Cuts.
func (l locals) Common(space string, peer merge.Origin) crdtsync.Cursor {
	s := l.node.lookup(space)
	if s == nil {
		return crdtsync.Cursor{}
	}
	s.members.mu.Lock()
	defer s.members.mu.Unlock()
	return s.members.roster.Last(peer)
}
