package boltstore

import (
	"bytes"
	"fmt"
	"iter"

	"github.com/joinery-crdt/joinery/store"
	"github.com/joinery-crdt/joinery/store/internal/overlay"
	"go.etcd.io/bbolt"
)

// spacePrefix starts the name of each bucket that holds a space.
const spacePrefix = 's'

// bucketName returns the name of the bucket of a space.
func bucketName(space []byte) []byte { return append([]byte{spacePrefix}, space...) }

// base is a bbolt transaction as transactions of the store read it. It trusts
// nothing in the file: bbolt panics on damaged pages.
type base struct {
	tx   *bbolt.Tx
	name []byte        // of the bucket used last, if tx cannot change it
	last *bbolt.Bucket // that bucket
}

var _ overlay.Base = (*base)(nil)

// guard turns a panic of bbolt into a CorruptError about k.
func guard(k overlay.Key, err *error) {
	if p := recover(); p != nil {
		*err = corrupt(k, fmt.Errorf("damaged page: %v", p))
	}
}

// bucket returns the bucket of a space, nil if there is none.
func (b *base) bucket(space []byte) *bbolt.Bucket {
	if b.last != nil && bytes.Equal(b.name[1:], space) {
		return b.last
	}
	name := bucketName(space)
	found := b.tx.Bucket(name)
	if found != nil && !b.tx.Writable() {
		b.name, b.last = name, found
	}
	return found
}

// Get implements [overlay.Base].
func (b *base) Get(k overlay.Key) (value []byte, err error) {
	defer guard(k, &err)
	bucket := b.bucket(k.Space())
	if bucket == nil {
		return nil, store.ErrNotFound
	}
	c := bucket.Cursor()
	found, raw := c.Seek(k.Inner())
	if bytes.Equal(found, k.Inner()) {
		return unseal(sumOf(k.Space()), found, raw)
	}
	return nil, absent(sumOf(k.Space()), c, found, raw)
}

// absent returns ErrNotFound if the records around the place of a key are
// sound: a damaged key would be one of them.
func absent(s spaceSum, c *bbolt.Cursor, next, raw []byte) error {
	if next != nil {
		if _, err := unseal(s, next, raw); err != nil {
			return err
		}
		next, raw = c.Prev()
	} else {
		next, raw = c.Last()
	}
	if next != nil {
		if _, err := unseal(s, next, raw); err != nil {
			return err
		}
	}
	return store.ErrNotFound
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
	bucket := b.bucket(c.prefix.Space())
	if bucket == nil {
		return
	}
	c.sum, c.c = sumOf(c.prefix.Space()), bucket.Cursor()
	start := c.prefix.Inner()
	if after != nil && bytes.Compare(after, start) >= 0 {
		start = after
	}
	if c.err = c.before(bucket, start); c.err != nil {
		return
	}
	k, raw := c.c.Seek(start)
	if after != nil && bytes.Equal(k, after) {
		k, raw = c.c.Next()
	}
	c.settle(k, raw)
}

// before verifies the record before start: it may be a damaged one of these.
func (c *cursor) before(bucket *bbolt.Bucket, start []byte) error {
	p := bucket.Cursor()
	k, raw := p.Seek(start)
	if k == nil {
		k, raw = p.Last()
	} else {
		k, raw = p.Prev()
	}
	if k == nil {
		return nil
	}
	_, err := unseal(c.sum, k, raw)
	return err
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
	for k, v := c.Seek([]byte{spacePrefix}); k != nil && k[0] == spacePrefix; k, v = c.Next() {
		if v != nil {
			return names, corrupt(nil, fmt.Errorf("%q is no bucket", k))
		}
		if len(k) > 1 {
			names = append(names, string(k[1:]))
		}
	}
	return names, nil
}
