package node

import (
	"iter"

	"github.com/joinery-crdt/joinery/crdt"
	crdtsync "github.com/joinery-crdt/joinery/sync"
)

// A cellWrite is what a transaction does to one cell.
type cellWrite struct {
	key   crdtsync.CellKey
	op    crdt.Op
	state []byte // that it leaves
}

// cellWrites is at most one write for each cell. The zero value is empty. Most
// transactions write a cell or two: only more of them get an index.
type cellWrites struct {
	list  []cellWrite // an op that does nothing is a write that was taken back
	gone  int         // number of those
	index map[crdtsync.CellKey]int
}

// maxUnindexed is how many writes are looked through one by one.
const maxUnindexed = 8

// len returns the number of cells.
func (c *cellWrites) len() int { return len(c.list) - c.gone }

// at returns the place of a write in the list, also of one taken back.
func (c *cellWrites) at(key crdtsync.CellKey) (i int, ok bool) {
	if c.index != nil {
		i, ok = c.index[key]
		return i, ok
	}
	for i := range c.list {
		if c.list[i].key == key {
			return i, true
		}
	}
	return 0, false
}

// find returns the write of a cell, nil if there is none. It is valid until the
// next set or remove.
func (c *cellWrites) find(key crdtsync.CellKey) *cellWrite {
	if i, ok := c.at(key); ok && !c.list[i].void() {
		return &c.list[i]
	}
	return nil
}

// void reports whether the write was taken back.
func (w *cellWrite) void() bool { return isNothing(w.op) }

// isNothing reports whether an op does nothing.
func isNothing(op crdt.Op) bool { return !op.Put && len(op.Seen) == 0 && len(op.Payload) == 0 }

// set puts a write, whose op does something, in the place of the cell's last.
func (c *cellWrites) set(w cellWrite) {
	i, ok := c.at(w.key)
	if ok {
		if c.list[i].void() {
			c.gone--
		}
		c.list[i] = w
		return
	}
	c.list = append(c.list, w)
	switch {
	case c.index != nil:
		c.index[w.key] = len(c.list) - 1
	case len(c.list) > maxUnindexed:
		c.index = make(map[crdtsync.CellKey]int, 2*len(c.list))
		for i := range c.list {
			c.index[c.list[i].key] = i
		}
	}
}

// remove takes the write of a cell back.
func (c *cellWrites) remove(key crdtsync.CellKey) {
	if w := c.find(key); w != nil {
		*w = cellWrite{key: key}
		c.gone++
	}
}

// all yields the writes in the order in which the cells were first written.
func (c *cellWrites) all() iter.Seq[*cellWrite] {
	return func(yield func(*cellWrite) bool) {
		for i := range c.list {
			if w := &c.list[i]; !w.void() && !yield(w) {
				return
			}
		}
	}
}
