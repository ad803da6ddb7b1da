package overlay

import (
	"bytes"
	"iter"
	"slices"

	"github.com/joinery-crdt/joinery/store"
	"github.com/tidwall/btree"
)

// An Entry is one write: the value a key gets, or its removal. It is never
// modified.
type Entry struct {
	buf     []byte // key, then value; its capacity includes the slack
	n       int32  // length of the key
	deleted bool
}

// probe returns an entry to look k up with.
func probe(k Key) Entry { return Entry{buf: k, n: int32(len(k))} }

// Key returns the key, a part of the entry.
func (e Entry) Key() Key { return Key(e.buf[:e.n:e.n]) }

// Value returns the value, a part of the entry.
func (e Entry) Value() []byte { return e.buf[e.n:len(e.buf):len(e.buf)] }

// Slack returns the value with the spare capacity asked for in
// [Options.Slack] behind it, for the backend to append to.
func (e Entry) Slack() []byte { return e.buf[e.n:] }

// Deleted reports whether the entry removes its key.
func (e Entry) Deleted() bool { return e.deleted }

// A Tree holds entries in the order of their keys. Any number of goroutines may
// read one that nobody writes.
type Tree = btree.BTreeG[Entry]

// NewTree returns an empty tree.
func NewTree() *Tree {
	return btree.NewBTreeGOptions(less, btree.Options{NoLocks: true})
}

func less(a, b Entry) bool { return bytes.Compare(a.buf[:a.n], b.buf[:b.n]) < 0 }

// Get returns the entry of k in tree, which may be nil.
func Get(tree *Tree, k Key) (Entry, bool) {
	if tree == nil {
		return Entry{}, false
	}
	return tree.Get(probe(k))
}

// Scan yields the entries of tree that Base.Scan describes, as records with
// inner keys. There must be no removals among them.
func Scan(tree *Tree, prefix Key, after []byte) iter.Seq2[store.Record, error] {
	return func(yield func(store.Record, error) bool) {
		for c := seek(tree, prefix, after); c.ok; c.next() {
			if !yield(c.record(), nil) {
				return
			}
		}
	}
}

// Spaces returns the names of the spaces with entries in tree, which may be
// nil, ascending. The space named "" is not among them.
func Spaces(tree *Tree) []string {
	if tree == nil {
		return nil
	}
	var names []string
	it := tree.Iter()
	defer it.Release()
	for ok := it.Seek(probe(Key{1})); ok; {
		k := it.Item().Key()
		names = append(names, string(k.Space()))
		next := k.spacePrefix().successor()
		ok = next != nil && it.Seek(probe(next))
	}
	slices.Sort(names)
	return names
}

// A cursor walks the entries of a tree with a common prefix.
type cursor struct {
	it     btree.IterG[Entry]
	prefix Key
	ok     bool // whether entry is one of them
	entry  Entry
}

// seek returns a cursor at the first entry with the prefix whose inner key is
// above after; a nil after is below every key. The tree may be nil.
func seek(tree *Tree, prefix Key, after []byte) *cursor {
	c := &cursor{prefix: prefix}
	if tree == nil {
		return c
	}
	start := prefix
	if after != nil && bytes.Compare(after, prefix.Inner()) >= 0 {
		start = append(prefix.spacePrefix(), after...)
	}
	c.it = tree.Iter()
	c.settle(c.it.Seek(probe(start)))
	if after != nil && c.ok && bytes.Equal(c.entry.Key().Inner(), after) {
		c.next()
	}
	return c
}

// next moves to the following entry.
func (c *cursor) next() { c.settle(c.it.Next()) }

// settle takes the entry the iterator stands on, if it has one.
func (c *cursor) settle(found bool) {
	c.ok = false
	if found {
		c.entry = c.it.Item()
		c.ok = bytes.HasPrefix(c.entry.buf[:c.entry.n], c.prefix)
	}
}

// record returns the entry as a record with its inner key.
func (c *cursor) record() store.Record {
	return store.Record{Key: c.entry.Key().Inner(), Value: c.entry.Value()}
}
