package spacestore

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/joinery-crdt/joinery/internal/varint"
	"github.com/joinery-crdt/joinery/merge"
	"github.com/joinery-crdt/joinery/store"
	crdtsync "github.com/joinery-crdt/joinery/sync"
)

// A change that leaves the log leaves a stub, which names the cells it wrote to,
// until that is forgotten too. Stubs lie among the local facts of a space.
var (
	floorKey  = []byte("floor")  // vector: what is not in the log
	forgetKey = []byte("forgot") // vector: what has no stub either
	stubKey   = []byte("stub")   // prefix; then origin and number
)

// Floor returns what is applied and no longer in the log of a space.
func Floor(r store.Reader, name string) (*merge.VersionVector, error) {
	return readVector(r, name, floorKey)
}

// Forgotten returns the changes of which a space no longer knows what they wrote
// to.
func Forgotten(r store.Reader, name string) (*merge.VersionVector, error) {
	return readVector(r, name, forgetKey)
}

func readVector(r store.Reader, name string, key []byte) (*merge.VersionVector, error) {
	b, err := r.Get(name, store.Meta, key)
	if errors.Is(err, store.ErrNotFound) {
		return &merge.VersionVector{}, nil
	}
	if err != nil {
		return nil, err
	}
	v, err := merge.DecodeVector(b)
	if err != nil {
		return nil, corrupt(name, store.Meta, key, err)
	}
	return v, nil
}

func saveVector(tx store.Tx, name string, key []byte, v *merge.VersionVector) error {
	b, err := v.AppendBinary(nil)
	if err != nil {
		return err
	}
	return tx.Put(name, store.Meta, key, b)
}

func saveFloor(tx store.Tx, name string, v *merge.VersionVector) error {
	return saveVector(tx, name, floorKey, v)
}

// Truncate takes changes of one origin out of the log, the first ones, up to the
// number until and at most count of them, and leaves their stubs. It returns the
// number of the last one that is out. The caller raises the floor to it in the
// same transaction. What lies below floor already is taken out without a stub.
func Truncate(tx store.Tx, name string, o merge.Origin, floor, until uint64, count int) (last uint64, more bool, err error) {
	var gone []merge.Dot
	last = floor
	for rec, err := range tx.Scan(name, store.Log, store.Range{Prefix: o[:]}) {
		if err != nil {
			return last, false, err
		}
		d, err := readLogKey(rec.Key)
		if err != nil {
			return last, false, corrupt(name, store.Log, rec.Key, err)
		}
		if d.Seq > until {
			break
		}
		if more = len(gone) == count; more {
			break
		}
		if gone = append(gone, d); d.Seq > floor {
			if err := saveStub(tx, name, d, rec); err != nil {
				return last, false, err
			}
			last = d.Seq
		}
	}
	for _, d := range gone {
		if err := tx.Delete(name, store.Log, logKey(d)); err != nil {
			return last, false, err
		}
	}
	return last, more, nil
}

// saveStub writes the stub of a change in the log, and takes what the change
// superseded off the stubs of others: whoever lacks those changes lacks this one
// too.
func saveStub(tx store.Tx, name string, d merge.Dot, rec store.Record) error {
	c, err := crdtsync.DecodeChange(slices.Clone(rec.Value))
	if err != nil {
		return corrupt(name, store.Log, rec.Key, err)
	}
	if err := cmp.Or(saveHash(tx, name, c), saveBase(tx, name, c)); err != nil {
		return err
	}
	keys := make([]string, 0, len(c.Ops))
	for i := range c.Ops {
		key, _ := c.Ops[i].Cell.AppendBinary(nil)
		keys = append(keys, string(key))
		for _, seen := range c.Ops[i].Seen {
			if err := dropKey(tx, name, seen, string(key)); err != nil {
				return err
			}
		}
	}
	return putStub(tx, name, d, keys)
}

// dropKey takes a cell off the stub of d, if there is one.
func dropKey(tx store.Tx, name string, d merge.Dot, key string) error {
	b, err := tx.Get(name, store.Meta, stubKeyOf(d))
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	keys, err := readStub(b)
	if err != nil {
		return corrupt(name, store.Meta, stubKeyOf(d), err)
	}
	return putStub(tx, name, d, slices.DeleteFunc(keys, func(k string) bool { return k == key }))
}

// putStub writes a stub, or none if it names no cells.
func putStub(tx store.Tx, name string, d merge.Dot, keys []string) error {
	if len(keys) == 0 {
		return tx.Delete(name, store.Meta, stubKeyOf(d))
	}
	b := binary.AppendUvarint(nil, uint64(len(keys)))
	for _, k := range keys {
		b = varint.AppendString(b, k)
	}
	return tx.Put(name, store.Meta, stubKeyOf(d), b)
}

func readStub(b []byte) ([]string, error) {
	r := varint.NewReader("stub", b)
	keys := make([]string, r.Count(1))
	for i := range keys {
		keys[i] = string(r.Bytes())
	}
	return keys, r.Done()
}

func stubKeyOf(d merge.Dot) []byte { return append(slices.Clone(stubKey), logKey(d)...) }

func readLogKey(b []byte) (d merge.Dot, err error) {
	if len(b) != 24 {
		return d, errors.New("not a dot")
	}
	copy(d.Origin[:], b)
	d.Seq = binary.BigEndian.Uint64(b[16:])
	return d, nil
}

// Forget drops stubs of one origin, the first ones, up to the number until and
// at most count of them, and reports whether more are left. Of what it drops
// nobody can be told any more what was written to.
func Forget(tx store.Tx, name string, o merge.Origin, until uint64, count int) (more bool, err error) {
	var gone []merge.Dot
	prefix := append(slices.Clone(stubKey), o[:]...)
	for rec, err := range tx.Scan(name, store.Meta, store.Range{Prefix: prefix}) {
		if err != nil {
			return false, err
		}
		d, err := readLogKey(rec.Key[len(stubKey):])
		if err != nil {
			return false, corrupt(name, store.Meta, rec.Key, err)
		}
		if d.Seq > until {
			break
		}
		if more = len(gone) == count; more {
			break
		}
		gone = append(gone, d)
	}
	for _, d := range gone {
		if err := tx.Delete(name, store.Meta, stubKeyOf(d)); err != nil {
			return false, err
		}
	}
	if more {
		until = gone[len(gone)-1].Seq
	}
	return more, forget(tx, name, merge.Dot{Origin: o, Seq: until})
}

// forget notes that what the changes up to the dots wrote to is not known.
func forget(tx store.Tx, name string, dots ...merge.Dot) error {
	forgotten, err := Forgotten(tx, name)
	if err != nil {
		return err
	}
	forgotten.Merge(merge.VectorOf(dots...))
	return saveVector(tx, name, forgetKey, forgotten)
}

// Touched returns the stored keys of the cells that the changes of an origin
// after a dot have written to, out of stubs and out of the log, and the number of
// the last change it looked at: that of until, or an earlier one once there are
// count keys. It returns [crdtsync.ErrForgotten] if stubs are missing.
func Touched(r store.Reader, name string, after merge.Dot, until uint64, count int) (keys []string, last uint64, err error) {
	forgotten, err := Forgotten(r, name)
	if err != nil {
		return nil, 0, err
	}
	if after.Seq < forgotten.Get(after.Origin) {
		return nil, after.Seq, crdtsync.ErrForgotten
	}
	floor, err := Floor(r, name)
	if err != nil {
		return nil, 0, err
	}
	t := touched{last: after, until: until, count: count}
	if after.Seq < floor.Get(after.Origin) {
		if err := t.stubs(r, name); err != nil || t.full {
			return t.keys, t.last.Seq, err
		}
		t.last.Seq = min(until, floor.Get(after.Origin))
	}
	if err := t.log(r, name); err != nil || t.full {
		return t.keys, t.last.Seq, err
	}
	return t.keys, until, nil
}

// touched gathers the cells that changes wrote to.
type touched struct {
	keys  []string
	last  merge.Dot // looked at
	until uint64
	count int
	full  bool // there may be more
}

func (t *touched) stubs(r store.Reader, name string) error {
	within := store.Range{Prefix: append(slices.Clone(stubKey), t.last.Origin[:]...), After: stubKeyOf(t.last)}
	for rec, err := range r.Scan(name, store.Meta, within) {
		if err != nil {
			return err
		}
		d, err := readLogKey(rec.Key[len(stubKey):])
		if err != nil {
			return corrupt(name, store.Meta, rec.Key, err)
		}
		if t.full = d.Seq <= t.until && len(t.keys) >= t.count; t.full || d.Seq > t.until {
			return nil
		}
		keys, err := readStub(rec.Value)
		if err != nil {
			return corrupt(name, store.Meta, rec.Key, err)
		}
		t.keys, t.last = append(t.keys, keys...), d
	}
	return nil
}

func (t *touched) log(r store.Reader, name string) error {
	within := store.Range{Prefix: t.last.Origin[:], After: logKey(t.last)}
	for rec, err := range r.Scan(name, store.Log, within) {
		if err != nil {
			return err
		}
		d, err := readLogKey(rec.Key)
		if err != nil {
			return corrupt(name, store.Log, rec.Key, err)
		}
		if t.full = d.Seq <= t.until && len(t.keys) >= t.count; t.full || d.Seq > t.until {
			return nil
		}
		if d.Seq != t.last.Seq+1 {
			return corrupt(name, store.Log, rec.Key, fmt.Errorf("it follows change %d", t.last.Seq))
		}
		c, err := crdtsync.DecodeChange(slices.Clone(rec.Value))
		if err != nil {
			return corrupt(name, store.Log, rec.Key, err)
		}
		for i := range c.Ops {
			key, _ := c.Ops[i].Cell.AppendBinary(nil)
			t.keys = append(t.keys, string(key))
		}
		t.last = d
	}
	return nil
}
