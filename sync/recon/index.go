package recon

import (
	"bytes"
	"iter"
	"sort"
)

// A Print is 128 bits of a wide hash of an item: its key and what it holds.
type Print [2]uint64

// An Index is a set in the order of its keys, in memory: the keys and 16 bytes
// an item.
type Index struct {
	keys   []byte
	ends   []int // of keys, in keys
	prints []Print
}

// Append puts an item at the end; its key must be above all others. It retains
// nothing.
func (x *Index) Append(key []byte, p Print) {
	x.keys = append(x.keys, key...)
	x.ends = append(x.ends, len(x.keys))
	x.prints = append(x.prints, p)
}

// Len returns the number of items.
func (x *Index) Len() int { return len(x.prints) }

// Key returns the key of an item. It is part of the index.
func (x *Index) Key(i int) []byte {
	from := 0
	if i > 0 {
		from = x.ends[i-1]
	}
	return x.keys[from:x.ends[i]:x.ends[i]]
}

// Find returns the position of the first item whose key is not below key.
func (x *Index) Find(key []byte) int {
	return sort.Search(x.Len(), func(i int) bool { return bytes.Compare(x.Key(i), key) >= 0 })
}

// Under returns the items of the set as they are under one key. It costs a hash
// an item, and refers to the index, which must not change any more.
func (x *Index) Under(key Key) *Keyed {
	sip := key.sip()
	k := &Keyed{Index: x, items: make([]uint64, x.Len()), sums: make([]uint64, x.Len()+1)}
	for i, p := range x.prints {
		k.items[i] = sip.hash(p[0], p[1])
		k.sums[i+1] = k.sums[i] + k.items[i]
	}
	return k
}

// Keyed is an index under a key: each item is a number of 64 bits that nobody
// foresees who does not know the key.
type Keyed struct {
	*Index
	items []uint64
	sums  []uint64 // of the items before each
}

// Items yields the items, which are what a [Sketch] takes, in the order of keys.
func (k *Keyed) Items() iter.Seq[uint64] {
	return func(yield func(uint64) bool) {
		for _, item := range k.items {
			if !yield(item) {
				return
			}
		}
	}
}

// Item returns the item in position i.
func (k *Keyed) Item(i int) uint64 { return k.items[i] }

// Sum returns the sum of the items from position from to before end, modulo 2^64.
func (k *Keyed) Sum(from, end int) uint64 { return k.sums[end] - k.sums[from] }

// Positions returns the positions of the items that pick accepts, ascending.
func (k *Keyed) Positions(pick func(item uint64) bool) (at []int) {
	for i, item := range k.items {
		if pick(item) {
			at = append(at, i)
		}
	}
	return at
}

// An Ordered is a set as a [Search] reads it; a [Keyed] is one. Positions count
// from 0 in the order of keys.
type Ordered interface {
	// Len returns the number of items.
	Len() int
	// Key returns the key in a position. The caller keeps it and does not
	// modify it.
	Key(i int) []byte
	// Find returns the position of the first key that is not below key.
	Find(key []byte) int
	// Sum returns the sum of the items in a range of positions, end exclusive.
	Sum(from, end int) uint64
}
