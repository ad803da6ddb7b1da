package memstore

import (
	"iter"
	"sync"

	"github.com/joinery-crdt/joinery/store"
	"github.com/joinery-crdt/joinery/store/internal/overlay"
)

// A Disk holds the committed records of one store and outlives it. The zero
// Disk is empty. All methods are safe for concurrent use; a Disk must not be
// copied (see [Disk.Clone]).
type Disk struct {
	mu   sync.Mutex // guards the rest, and trees against changes
	used bool       // whether a Store is open on it
	cur  *version   // nil before the first use
}

// A version is a tree that changes only while no View reads it.
type version struct {
	tree  *overlay.Tree
	views int
}

// Clone returns a disk with the records committed so far: a backup, a copied
// directory, or what is left when the machine stops. It costs the same for any
// number of records. No store is open on the clone.
func (d *Disk) Clone() *Disk {
	d.mu.Lock()
	defer d.mu.Unlock()
	return &Disk{cur: &version{tree: d.current().tree.Copy()}}
}

// Len returns the number of records.
func (d *Disk) Len() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.current().tree.Len()
}

// current returns the newest version. The caller holds mu.
func (d *Disk) current() *version {
	if d.cur == nil {
		d.cur = &version{tree: overlay.NewTree()}
	}
	return d.cur
}

// tree returns the newest tree.
func (d *Disk) tree() *overlay.Tree {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.current().tree
}

// release ends a View of v.
func (d *Disk) release(v *version) {
	d.mu.Lock()
	defer d.mu.Unlock()
	v.views--
}

// apply commits the writes of tx.
func (d *Disk) apply(tx *overlay.Tx) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.cur.views > 0 && tx.Len() > 0 {
		d.cur = &version{tree: d.cur.tree.Copy()}
	}
	for e := range tx.Entries() {
		if e.Deleted() {
			d.cur.tree.Delete(e)
		} else {
			d.cur.tree.Set(e)
		}
	}
}

// lock marks d as in use.
func (d *Disk) lock() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.used {
		return &store.LockedError{Path: "memstore disk"}
	}
	d.used = true
	return nil
}

// unlock ends the use of d.
func (d *Disk) unlock() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.used = false
}

// base is a tree that does not change, as transactions read it.
type base struct{ tree *overlay.Tree }

func (b base) Get(k overlay.Key) ([]byte, error) {
	if e, ok := overlay.Get(b.tree, k); ok {
		return e.Value(), nil
	}
	return nil, store.ErrNotFound
}

func (b base) Scan(prefix overlay.Key, after []byte) iter.Seq2[store.Record, error] {
	return overlay.Scan(b.tree, prefix, after)
}

func (b base) Spaces() iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for _, name := range overlay.Spaces(b.tree) {
			if !yield(name, nil) {
				return
			}
		}
	}
}
