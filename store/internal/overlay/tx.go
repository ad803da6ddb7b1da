package overlay

import (
	"bytes"
	"iter"
	"slices"

	"github.com/joinery-crdt/joinery/store"
	"github.com/tidwall/btree"
)

// Options say how a transaction keeps its writes.
type Options struct {
	// Slack is the spare capacity behind each value, in bytes.
	Slack int
	// Alloc returns an empty slice with a capacity of n bytes that nothing
	// else uses. nil means a new allocation for each write.
	Alloc func(n int) []byte
}

// A Tx is a [store.Tx] that keeps its writes to itself.
type Tx struct {
	Reader
	opts  Options
	tree  *Tree // the writes, nil before the first
	scans int   // loops that walk tree and want it unchanged
	hint  btree.PathHint
	size  int // bytes of keys and values written
}

// NewTx returns a transaction over base, which must not change before the
// transaction ends.
func NewTx(base Base, opts Options) *Tx {
	return &Tx{Reader: Reader{base: base}, opts: opts}
}

// Len returns the number of keys written or removed.
func (tx *Tx) Len() int {
	if tx.tree == nil {
		return 0
	}
	return tx.tree.Len()
}

// Size returns the bytes of keys and values written so far.
func (tx *Tx) Size() int { return tx.size }

// Entries yields the writes in the order of their keys, the last one of each.
func (tx *Tx) Entries() iter.Seq[Entry] {
	return func(yield func(Entry) bool) {
		if tx.tree != nil {
			tx.tree.Scan(yield)
		}
	}
}

// Put implements [store.Tx].
func (tx *Tx) Put(space string, t store.Table, key, value []byte) error {
	k, err := tx.key(space, t, key)
	if err != nil {
		return err
	}
	if len(value) > store.MaxValue {
		return &store.LimitError{What: "value", Size: len(value), Limit: store.MaxValue}
	}
	return tx.write(k, value, false)
}

// Delete implements [store.Tx].
func (tx *Tx) Delete(space string, t store.Table, key []byte) error {
	k, err := tx.key(space, t, key)
	if err != nil {
		return err
	}
	return tx.write(k, nil, true)
}

// write adds a copy of one write.
func (tx *Tx) write(k Key, value []byte, deleted bool) error {
	if _, over := tx.base.(ended); over {
		return store.ErrClosed
	}
	tx.detach()
	buf := append(tx.alloc(len(k)+len(value)+tx.opts.Slack), k...)
	buf = append(buf, value...)
	tx.tree.SetHint(Entry{buf: buf, n: int32(len(k)), deleted: deleted}, &tx.hint)
	tx.size += len(buf)
	return nil
}

// detach makes tx.tree one that no scan walks.
func (tx *Tx) detach() {
	switch {
	case tx.tree == nil:
		tx.tree = NewTree()
	case tx.scans > 0:
		tx.tree, tx.scans = tx.tree.Copy(), 0
	}
}

func (tx *Tx) alloc(n int) []byte {
	if tx.opts.Alloc == nil {
		return make([]byte, 0, n)
	}
	return tx.opts.Alloc(n)
}

// Get implements [store.Reader].
func (tx *Tx) Get(space string, t store.Table, key []byte) ([]byte, error) {
	k, err := tx.key(space, t, key)
	if err != nil {
		return nil, err
	}
	return tx.get(k)
}

// get is Get of a key in the form of this package.
func (tx *Tx) get(k Key) ([]byte, error) {
	e, ok := Get(tx.tree, k)
	switch {
	case !ok:
		return tx.base.Get(k)
	case e.deleted:
		return nil, store.ErrNotFound
	}
	return e.Value(), nil
}

// Scan implements [store.Reader].
func (tx *Tx) Scan(space string, t store.Table, rg store.Range) iter.Seq2[store.Record, error] {
	return scan(space, t, rg, tx.records)
}

// records is the base's Scan with the writes over it.
func (tx *Tx) records(prefix Key, after []byte) iter.Seq2[store.Record, error] {
	over := seek(tx.tree, prefix, after)
	if !over.ok {
		return tx.base.Scan(prefix, after)
	}
	return func(yield func(store.Record, error) bool) {
		walked := tx.tree
		tx.scans++
		defer func() {
			if tx.tree == walked {
				tx.scans--
			}
		}()
		merge(tx.base.Scan(prefix, after), over)(yield)
	}
}

// merge yields the records of base with the entries of over in their places.
func merge(base iter.Seq2[store.Record, error], over *cursor) iter.Seq2[store.Record, error] {
	return func(yield func(store.Record, error) bool) {
		for rec, err := range base {
			if err != nil {
				yield(rec, err)
				return
			}
			if !over.below(rec.Key, yield) {
				return
			}
			if !over.at(rec.Key) && !yield(rec, nil) {
				return
			}
		}
		over.below(nil, yield)
	}
}

// below yields the values among the entries before the inner key end, all of
// them if end is nil, and reports whether to go on.
func (c *cursor) below(end []byte, yield func(store.Record, error) bool) bool {
	for ; c.ok && (end == nil || bytes.Compare(c.entry.Key().Inner(), end) < 0); c.next() {
		if !c.entry.deleted && !yield(c.record(), nil) {
			return false
		}
	}
	return true
}

// at reports whether the cursor stands on the inner key.
func (c *cursor) at(key []byte) bool {
	return c.ok && bytes.Equal(c.entry.Key().Inner(), key)
}

// Spaces implements [store.Reader].
func (tx *Tx) Spaces() iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		names, err := tx.spaceNames()
		for _, name := range names {
			var used bool
			if used, err = tx.uses(name); err != nil {
				break
			}
			if used && !yield(name, nil) {
				return
			}
		}
		if err != nil {
			yield("", err)
		}
	}
}

// spaceNames returns the spaces that the base or the writes mention, ascending.
func (tx *Tx) spaceNames() ([]string, error) {
	names := Spaces(tx.tree)
	for name, err := range tx.base.Spaces() {
		if err != nil {
			return nil, err
		}
		names = append(names, name)
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

// uses reports whether the space has a record.
func (tx *Tx) uses(space string) (bool, error) {
	for _, err := range tx.records(AppendSpace(nil, space), nil) {
		return err == nil, err
	}
	return false, nil
}
