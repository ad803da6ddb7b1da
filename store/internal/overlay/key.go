// Package overlay holds the part of a transaction that is the same for every
// ordered key-value backend: keys of one flat order, uncommitted writes that
// lie over a committed base, and reads that merge the two.
//
// A backend supplies a [Base] and applies [Tx.Entries] when it commits.
package overlay

import (
	"slices"

	"github.com/joinery-crdt/joinery/store"
)

// A Key names one record of a store: a byte with the length of the space's
// name, the name, the table's number, the record's key. The part from the
// table's number on is the inner key. Keys of one table sort as the records'
// keys do. A Key that stops short is a prefix.
type Key []byte

// AppendKey appends the Key of a record to dst. The names are within
// [store.CheckKey].
func AppendKey(dst Key, space string, t store.Table, key []byte) Key {
	dst = slices.Grow(dst, 2+len(space)+len(key))
	dst = AppendSpace(dst, space)
	dst = append(dst, byte(t))
	return append(dst, key...)
}

// AppendSpace appends the prefix of all keys of a space to dst.
func AppendSpace(dst Key, space string) Key {
	dst = append(dst, byte(len(space)))
	return append(dst, space...)
}

// Space returns the space's name, a part of k.
func (k Key) Space() []byte { return k[1 : 1+int(k[0])] }

// Inner returns the table's number and the record's key, a part of k.
func (k Key) Inner() []byte { return k[1+int(k[0]):] }

// Table returns the table's number.
func (k Key) Table() store.Table { return store.Table(k.Inner()[0]) }

// User returns the record's key, a part of k.
func (k Key) User() []byte { return k.Inner()[1:] }

// spacePrefix returns the prefix of all keys of k's space, a part of k.
func (k Key) spacePrefix() Key { return k[: 1+int(k[0]) : 1+int(k[0])] }

// successor returns the least key above every key with prefix k, or nil if
// there is none.
func (k Key) successor() Key {
	s := append(Key(nil), k...)
	for i := len(s) - 1; i >= 0; i-- {
		if s[i]++; s[i] != 0 {
			return s[:i+1]
		}
	}
	return nil
}
