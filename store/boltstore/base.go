package boltstore

import (
	"bytes"
	"cmp"
	"fmt"
	"iter"
	"slices"

	"github.com/joinery-crdt/joinery/store"
	"github.com/joinery-crdt/joinery/store/internal/overlay"
	"go.etcd.io/bbolt"
)

// base is a bbolt transaction as transactions of the store read it. It trusts
// nothing in the file: bbolt panics on damaged pages.
type base struct {
	tx    *bbolt.Tx
	space []byte        // the one used last, if tx cannot change it
	last  *bbolt.Bucket // its bucket
}

var _ overlay.Base = (*base)(nil)

// guard turns a panic of bbolt into a CorruptError about k.
func guard(k overlay.Key, err *error) {
	if p := recover(); p != nil {
		*err = corrupt(k, fmt.Errorf("damaged page: %v", p))
	}
}

// bucket returns the bucket of a space, nil if there is none.
func (b *base) bucket(space []byte) (*bbolt.Bucket, error) {
	if b.last != nil && bytes.Equal(b.space, space) {
		return b.last, nil
	}
	found, err := findBucket(b.tx, space)
	if found != nil && !b.tx.Writable() {
		b.space, b.last = bytes.Clone(space), found
	}
	return found, err
}

// Get implements [overlay.Base].
func (b *base) Get(k overlay.Key) (value []byte, err error) {
	defer guard(k, &err)
	bucket, err := b.bucket(k.Space())
	if err != nil || bucket == nil {
		return nil, cmp.Or(err, store.ErrNotFound)
	}
	c := bucket.Cursor()
	found, raw := c.Seek(k.Inner())
	if bytes.Equal(found, k.Inner()) {
		return unseal(sumOf(k.Space()), found, raw)
	}
	return nil, absent(sumOf(k.Space()), c, k.Inner(), found, raw)
}

// absent returns ErrNotFound if the records around the place of an inner key,
// of which next is one, are sound and in order: a damaged key, or the way past
// it, would show there.
func absent(s spaceSum, c *bbolt.Cursor, key, next, raw []byte) error {
	if err := sound(s, next, raw, key, +1); err != nil {
		return err
	}
	if next != nil {
		next, raw = c.Prev()
	} else {
		next, raw = c.Last()
	}
	if err := sound(s, next, raw, key, -1); err != nil {
		return err
	}
	return store.ErrNotFound
}

// sound verifies a record, if there is one, that lies above (order +1) or
// below (-1) an inner key.
func sound(s spaceSum, inner, raw, key []byte, order int) error {
	if inner == nil {
		return nil
	}
	if bytes.Compare(inner, key) != order {
		return corruptRecord(s, inner, errOrder)
	}
	_, err := unseal(s, inner, raw)
	return err
}

// Scan implements [overlay.Base].
func (b *base) Scan(prefix overlay.Key, after []byte) iter.Seq2[store.Record, error] {
	return func(yield func(store.Record, error) bool) {
		c := cursor{prefix: prefix}
		for c.seek(b, after); c.ok; c.next() {
			if !yield(c.record, nil) {
				return
			}
		}
		if c.err != nil {
			yield(store.Record{}, c.err)
		}
	}
}

// A cursor walks the records with a prefix.
type cursor struct {
	prefix overlay.Key
	sum    spaceSum
	c      *bbolt.Cursor
	record store.Record // with its inner key
	ok     bool         // whether record is one
	err    error        // why it is not
}

// seek moves to the first record above after.
func (c *cursor) seek(b *base, after []byte) {
	defer guard(c.prefix, &c.err)
	var bucket *bbolt.Bucket
	if bucket, c.err = b.bucket(c.prefix.Space()); bucket == nil {
		return
	}
	c.sum, c.c = sumOf(c.prefix.Space()), bucket.Cursor()
	start := c.prefix.Inner()
	if after != nil && bytes.Compare(after, start) >= 0 {
		start = after
	}
	if c.err = before(c.sum, bucket.Cursor(), start); c.err != nil {
		return
	}
	k, raw := c.c.Seek(start)
	if after != nil && bytes.Equal(k, after) {
		k, raw = c.c.Next()
	}
	c.settle(k, raw)
}

// before verifies the record before start: it may be a damaged one of a scan
// from there.
func before(s spaceSum, c *bbolt.Cursor, start []byte) error {
	k, _ := c.Seek(start)
	step := c.Prev
	if k == nil {
		step = c.Last
	}
	k, raw := step()
	return sound(s, k, raw, start, -1)
}

// next moves to the following record.
func (c *cursor) next() {
	c.ok = false
	defer guard(c.prefix, &c.err)
	k, raw := c.c.Next()
	c.settle(k, raw)
}

// settle takes what the bbolt cursor stands on. The record after the last one
// is verified too: it may be a damaged one of these.
func (c *cursor) settle(k, raw []byte) {
	if k == nil {
		return
	}
	value, err := unseal(c.sum, k, raw)
	if err == nil && bytes.Compare(k, c.record.Key) <= 0 {
		err = corruptRecord(c.sum, k, errOrder)
	}
	c.err = err
	c.ok = err == nil && bytes.HasPrefix(k, c.prefix.Inner())
	c.record = store.Record{Key: k, Value: value}
}

// Spaces implements [overlay.Base].
func (b *base) Spaces() iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		names, err := b.spaces()
		for _, name := range names {
			if !yield(name, nil) {
				return
			}
		}
		if err != nil {
			yield("", err)
		}
	}
}

// spaces returns the names of the spaces that have one, ascending.
func (b *base) spaces() (names []string, err error) {
	defer guard(nil, &err)
	c := b.tx.Cursor()
	for k, _ := c.Seek([]byte{spacePrefix}); k != nil; k, _ = c.Next() {
		space, err := spaceOf(k)
		if err != nil {
			return nil, err
		}
		if len(space) > 0 {
			names = append(names, string(space))
		}
	}
	slices.Sort(names)
	return names, nil
}
