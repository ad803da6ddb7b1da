package spacestore

import (
	"cmp"
	"encoding/binary"
	"errors"
	"slices"

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
	stubs := newStubWriter(tx, name)
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
			if err := saveStub(stubs, rec); err != nil {
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
	return last, more, stubs.flush()
}

// saveStub makes the stub of a record of the log.
func saveStub(w *stubWriter, rec store.Record) error {
	c, err := crdtsync.DecodeChange(slices.Clone(rec.Value))
	if err != nil {
		return corrupt(w.space, store.Log, rec.Key, err)
	}
	if err := cmp.Or(saveHash(w.tx, w.space, c), saveBase(w.tx, w.space, c)); err != nil {
		return err
	}
	return w.add(c)
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

// Touched returns the cells that the changes of an origin after a dot have
// written to, out of stubs and out of the log, and the number of the last change
// it looked at: that of until, or an earlier one once there are count cells. A
// cell gets the name of an op that wrote to it in a change that known contains, if
// one is known; nil contains nothing. It returns [crdtsync.ErrForgotten] if stubs
// are missing.
func Touched(r store.Reader, name string, after merge.Dot, until uint64, count int, known merge.Dots) (touches []crdtsync.Touch, last uint64, err error) {
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
	t := touchReader{past: newPast(r, name), known: known, last: after, until: until, count: count}
	if after.Seq < floor.Get(after.Origin) {
		if err := t.stubbed(); err != nil || t.full {
			return t.touches, t.last.Seq, err
		}
		t.last.Seq = min(until, floor.Get(after.Origin))
	}
	if err := t.logged(); err != nil || t.full {
		return t.touches, t.last.Seq, err
	}
	return t.touches, until, nil
}
