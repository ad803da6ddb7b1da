package replay

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"iter"

	"github.com/joinery-crdt/joinery/merge"
	"github.com/joinery-crdt/joinery/store"
	"github.com/joinery-crdt/joinery/store/boltstore"
	"github.com/joinery-crdt/joinery/sync/node"
)

// compare opens what the daemons left and compares it, record by record, with
// what the replay itself ended with.
func (f *fleet) compare(ctx context.Context, h *History, full *node.Node, want *Results) error {
	for _, d := range f.daemons {
		st, err := boltstore.Open(d.data().Store(), boltstore.Options{})
		if err != nil {
			return err
		}
		kept, err := compareOne(ctx, h, st, full.Store(), want)
		if err != nil {
			return fmt.Errorf("replay: daemon %s: %w; its data is in %s", d.name, err, d.dir)
		}
		f.logf("%s holds the same cells and heads, and of the log the same %d changes of %d", d.name, kept, full.Space(SpaceName).Summary().Changes)
	}
	f.logf("%d daemons hold the same bytes, and the expected results", len(f.daemons))
	return nil
}

// compareOne compares a store, which it closes, and returns how many changes its
// log holds.
func compareOne(ctx context.Context, h *History, st, reference store.Store, want *Results) (kept uint64, err error) {
	n, err := node.Open(ctx, node.Config{Store: st})
	if err != nil {
		st.Close()
		return 0, err
	}
	defer n.Close()
	for _, t := range []store.Table{store.Cells, store.Vector} {
		if _, err := sameTable(ctx, st, reference, t, nil); err != nil {
			return 0, err
		}
	}
	floor := n.Space(SpaceName).Floor()
	if kept, err = sameTable(ctx, st, reference, store.Log, floor); err != nil {
		return kept, err
	}
	got, err := collect(ctx, n.Space(SpaceName), h)
	if err != nil {
		return kept, err
	}
	return kept, got.equal(want)
}

// sameTable returns an error at the first record of a that b does not have, or of
// b that a does not have, and the number of equal ones. If floor is not nil, the
// table is a log, and a may lack what is in floor.
func sameTable(ctx context.Context, a, b store.Store, t store.Table, floor *merge.VersionVector) (same uint64, err error) {
	err = a.View(ctx, func(ra store.Reader) error {
		return b.View(ctx, func(rb store.Reader) error {
			next, stop := iter.Pull2(ra.Scan(SpaceName, t, store.Range{}))
			defer stop()
			x, err, more := next()
			for y, errB := range rb.Scan(SpaceName, t, store.Range{}) {
				switch {
				case err != nil || errB != nil:
					return fmt.Errorf("table %d: %w", t, firstError(err, errB))
				case more && bytes.Equal(x.Key, y.Key) && bytes.Equal(x.Value, y.Value):
					same++
					x, err, more = next()
				case more && bytes.Compare(x.Key, y.Key) <= 0:
					return fmt.Errorf("table %d holds %q = %x where %q = %x belongs", t, x.Key, x.Value, y.Key, y.Value)
				case floor == nil || !below(floor, y.Key):
					return fmt.Errorf("table %d lacks %q", t, y.Key)
				}
			}
			if more {
				return fmt.Errorf("table %d holds %q, which does not belong there", t, x.Key)
			}
			return err
		})
	})
	return same, err
}

// below reports whether the log's record with a key, which is an origin and a
// number, may be gone.
func below(floor *merge.VersionVector, key []byte) bool {
	var d merge.Dot
	if len(key) != len(d.Origin)+8 {
		return false
	}
	copy(d.Origin[:], key)
	d.Seq = binary.BigEndian.Uint64(key[len(d.Origin):])
	return floor.Contains(d)
}
