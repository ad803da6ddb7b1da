package node

import (
	"context"
	"fmt"

	"github.com/joinery-crdt/joinery/internal/spacestore"
	"github.com/joinery-crdt/joinery/store"
)

// reread applies what earlier versions of the program logged and could not read,
// in the spaces given, before anybody sees them.
func (n *Node) reread(ctx context.Context, names []string) error {
	for _, name := range names {
		s := n.spaces[name]
		before, left := s.core.Summary().Unread, uint64(0)
		err := n.store.Update(ctx, func(tx store.Tx) (err error) {
			core, err := spacestore.Load(tx, name, n.Origin(), n.cfg.Kinds)
			if err == nil {
				left, err = spacestore.Reread(tx, core, n.cfg.Kinds)
			}
			return err
		})
		if err != nil {
			return fmt.Errorf("node: operations of %q whose types were unknown cannot be applied: %w", name, err)
		}
		err = n.store.View(ctx, func(r store.Reader) (err error) {
			s.core, err = spacestore.Load(r, name, n.Origin(), n.cfg.Kinds)
			return err
		})
		if err != nil {
			return err
		}
		n.log.Info("applied operations whose types were unknown", "code", "reread", "space", name, "applied", before-left, "left", left)
	}
	return nil
}
