package spacestore

import (
	"bytes"
	"cmp"
	"errors"
	"slices"

	"github.com/joinery-crdt/joinery/crdt"
	"github.com/joinery-crdt/joinery/merge"
	"github.com/joinery-crdt/joinery/store"
	crdtsync "github.com/joinery-crdt/joinery/sync"
)

// unreadPrefix stands before the name of a kind that the node did not know when
// an op of it came. The record is the vector from before that change. What came
// of the kind since then is in the log: while a node holds ops that it cannot
// read it does not truncate, and it takes no snapshot with cells of such a kind.
var unreadPrefix = []byte("unread\x00")

func unreadKeyOf(kind string) []byte { return append(bytes.Clone(unreadPrefix), kind...) }

// noteUnread notes since when ops of the kinds are not read. It is called before
// the heads are written.
func noteUnread(tx store.Tx, name string, kinds []string) error {
	for _, kind := range kinds {
		_, err := tx.Get(name, store.Meta, unreadKeyOf(kind))
		if err == nil {
			continue
		}
		if !errors.Is(err, store.ErrNotFound) {
			return err
		}
		applied, err := headsBefore(tx, name, nil)
		if err != nil {
			return err
		}
		if err := saveVector(tx, name, unreadKeyOf(kind), applied); err != nil {
			return err
		}
	}
	return nil
}

// Unread returns the kinds of which a space holds ops that its node could not
// read, and what had been applied before the first of them, as far as the kinds
// given are concerned.
func Unread(r store.Reader, name string, kinds crdt.Kinds) (map[string]*merge.VersionVector, error) {
	since := make(map[string]*merge.VersionVector)
	for rec, err := range r.Scan(name, store.Meta, store.Range{Prefix: unreadPrefix}) {
		if err != nil {
			return nil, err
		}
		kind := string(rec.Key[len(unreadPrefix):])
		if kinds[kind] == nil {
			continue
		}
		if since[kind], err = merge.DecodeVector(rec.Value); err != nil {
			return nil, corrupt(name, store.Meta, rec.Key, err)
		}
	}
	return since, nil
}

// Reread joins the ops of kinds that the node of a space has learnt, and returns
// how many ops are left that it cannot read.
func Reread(tx store.Tx, s *crdtsync.Space, kinds crdt.Kinds) (left uint64, err error) {
	since, err := Unread(tx, s.Name(), kinds)
	if err != nil {
		return 0, err
	}
	st := s.Stage(Cells{Reader: tx, Space: s.Name()}, 0)
	again := st.Reread(since)
	changes, err := changesThat(tx, s.Name(), again.Wants)
	if err != nil {
		return 0, err
	}
	for _, c := range changes {
		if err := again.Change(c); err != nil {
			return 0, err
		}
	}
	p := st.Persist()
	if err := Save(tx, s.Name(), p); err != nil {
		return 0, err
	}
	for kind := range since {
		if err := tx.Delete(s.Name(), store.Meta, unreadKeyOf(kind)); err != nil {
			return 0, err
		}
	}
	return p.Summary.Unread, nil
}

// changesThat returns the changes in the log that pass, in a causal order.
func changesThat(r store.Reader, space string, pass func(*crdtsync.Change) bool) (changes []*crdtsync.Change, err error) {
	for rec, err := range r.Scan(space, store.Log, store.Range{}) {
		if err != nil {
			return nil, err
		}
		c, err := crdtsync.DecodeChange(bytes.Clone(rec.Value))
		if err != nil {
			return nil, corrupt(space, store.Log, rec.Key, err)
		}
		if pass(c) {
			changes = append(changes, c)
		}
	}
	slices.SortFunc(changes, func(a, b *crdtsync.Change) int {
		return cmp.Or(cmp.Compare(a.Time, b.Time), a.Dot.Compare(b.Dot))
	})
	return changes, nil
}
