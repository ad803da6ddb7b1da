package spacestore

import (
	"bytes"
	"encoding/binary"
	"errors"
	"slices"

	"github.com/joinery-crdt/joinery/internal/varint"
	"github.com/joinery-crdt/joinery/merge"
	"github.com/joinery-crdt/joinery/store"
	crdtsync "github.com/joinery-crdt/joinery/sync"
)

// The arrival index holds, for each commit that applied changes, what it
// applied, under the position that it reached: the number of changes applied by
// then. So a position stands for a vector without its being kept, and what came
// after it is found without reading the rest.

// saveArrival writes the index's record of one stage.
func saveArrival(tx store.Tx, name string, p *crdtsync.Persist) error {
	if len(p.Log) == 0 {
		return nil
	}
	return tx.Put(name, store.Arrival, positionKey(p.Summary.Changes), appendArrival(p.Summary.Cursor(), p.Log))
}

func positionKey(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }

// appendArrival returns the record: the print of the cut, and the changes as
// runs of one origin's.
func appendArrival(c crdtsync.Cursor, log []*crdtsync.Change) []byte {
	first, count := merge.VersionVector{}, make(map[merge.Origin]uint64)
	for _, c := range log {
		first.Raise(c.Dot)
		count[c.Dot.Origin]++
	}
	b := binary.BigEndian.AppendUint64(nil, c.Print)
	b = binary.AppendUvarint(b, uint64(first.Len()))
	for _, last := range first.Sorted() {
		b = append(b, last.Origin[:]...)
		b = binary.AppendUvarint(b, last.Seq)
		b = binary.AppendUvarint(b, count[last.Origin])
	}
	return b
}

// A run is changes of one origin that one commit applied.
type run struct {
	last  merge.Dot
	count uint64
}

// An arrival is what one commit applied.
type arrival struct {
	cursor crdtsync.Cursor // after it
	runs   []run
}

func readPrint(r *varint.Reader) uint64 {
	b := r.Fixed(8)
	if b == nil {
		return 0
	}
	return binary.BigEndian.Uint64(b)
}

func (a *arrival) count() (n uint64) {
	for _, r := range a.runs {
		n += r.count
	}
	return n
}

func readArrival(space string, rec store.Record) (a arrival, err error) {
	if len(rec.Key) != 8 {
		return a, corrupt(space, store.Arrival, rec.Key, errors.New("not a position"))
	}
	r := varint.NewReader("arrival", rec.Value)
	a.cursor.Position = binary.BigEndian.Uint64(rec.Key)
	a.cursor.Print = readPrint(r)
	for range r.Count(18) {
		var one run
		copy(one.last.Origin[:], r.Fixed(len(one.last.Origin)))
		one.last.Seq, one.count = r.Uvarint(), r.Uvarint()
		if one.count == 0 || one.count > one.last.Seq || one.last.Seq > merge.MaxSeq {
			r.Fail("a run that no origin writes")
		}
		a.runs = append(a.runs, one)
	}
	if err := r.Done(); err != nil {
		return a, corrupt(space, store.Arrival, rec.Key, err)
	}
	return a, nil
}

// Cut returns the vector that the space had at the cut, or nil if it never was
// there or the index does not reach back to it. It reads what came since then.
func Cut(r store.Reader, space string, c crdtsync.Cursor) (*merge.VersionVector, error) {
	at, err := r.Get(space, store.Arrival, positionKey(c.Position))
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	a, err := readArrival(space, store.Record{Key: positionKey(c.Position), Value: at})
	if err != nil || a.cursor != c {
		return nil, err
	}
	later, ok, err := arrivedAfter(r, space, c.Position)
	if err != nil || !ok {
		return nil, err
	}
	return headsBefore(r, space, later)
}

// arrivedAfter returns, by origin, the number before the first change that was
// applied after the position, and false if the index has a gap there.
func arrivedAfter(r store.Reader, space string, position uint64) (later map[merge.Origin]uint64, ok bool, err error) {
	later = make(map[merge.Origin]uint64)
	for rec, err := range r.Scan(space, store.Arrival, store.Range{After: positionKey(position)}) {
		if err != nil {
			return nil, false, err
		}
		a, err := readArrival(space, rec)
		if err != nil {
			return nil, false, err
		}
		if a.cursor.Position-a.count() != position {
			return nil, false, nil
		}
		position = a.cursor.Position
		for _, one := range a.runs {
			if _, known := later[one.last.Origin]; !known {
				later[one.last.Origin] = one.last.Seq - one.count
			}
		}
	}
	now, err := loadSummary(r, space)
	return later, position == now.Changes, err
}

// headsBefore returns the heads of the space, lowered to what later says.
func headsBefore(r store.Reader, space string, later map[merge.Origin]uint64) (*merge.VersionVector, error) {
	v := &merge.VersionVector{}
	for rec, err := range r.Scan(space, store.Vector, store.Range{}) {
		if err != nil {
			return nil, err
		}
		o, h, err := readHead(rec)
		if err != nil {
			return nil, corrupt(space, store.Vector, rec.Key, err)
		}
		if seq, ok := later[o]; ok {
			h.Seq = seq
		}
		if h.Seq > 0 {
			v.Raise(merge.Dot{Origin: o, Seq: h.Seq})
		}
	}
	return v, nil
}

// TrimArrival takes out of the index, oldest first, commits of changes that the
// floor contains, but for the last of them, and at most count of them. It reports
// whether there are more. Cuts from before are not known any more.
func TrimArrival(tx store.Tx, space string, floor *merge.VersionVector, count int) (more bool, err error) {
	var before []byte // the key of the last commit that the floor contains
	for rec, err := range tx.Scan(space, store.Arrival, store.Range{}) {
		if err != nil {
			return false, err
		}
		a, err := readArrival(space, rec)
		if err != nil {
			return false, err
		}
		if slices.ContainsFunc(a.runs, func(one run) bool { return !floor.Contains(one.last) }) {
			return false, nil
		}
		if before != nil {
			if count--; count < 0 {
				return true, nil
			}
			if err := tx.Delete(space, store.Arrival, before); err != nil {
				return false, err
			}
		}
		before = bytes.Clone(rec.Key)
	}
	return false, nil
}
