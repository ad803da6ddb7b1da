// Package spacestore is how the state of a space lies in a store: what a node
// and the simulator both do between the pure core and the store's contract.
package spacestore

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/joinery-crdt/joinery/crdt"
	"github.com/joinery-crdt/joinery/hlc"
	"github.com/joinery-crdt/joinery/internal/varint"
	"github.com/joinery-crdt/joinery/merge"
	"github.com/joinery-crdt/joinery/store"
	crdtsync "github.com/joinery-crdt/joinery/sync"
)

var (
	summaryKey = []byte("summary")
	originKey  = []byte("origin")
	placeKey   = []byte("place")
	formerKey  = []byte("former")
)

const summaryVersion = 1

// Origin returns the origin under which the store's node writes, and false if
// the store has none yet.
func Origin(r store.Reader) (o merge.Origin, ok bool, err error) {
	b, err := r.Get("", store.Meta, originKey)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return o, false, nil
	case err != nil:
		return o, false, err
	case copy(o[:], b) != len(o) || len(b) != len(o):
		return o, false, corrupt("", store.Meta, originKey, errors.New("not an origin"))
	}
	return o, true, nil
}

// SetOrigin makes o the origin under which the store's node writes.
func SetOrigin(tx store.Tx, o merge.Origin) error {
	return tx.Put("", store.Meta, originKey, o[:])
}

// Place returns the place in which the store lay when its origin was last used,
// empty if nobody could tell.
func Place(r store.Reader) (string, error) {
	b, err := r.Get("", store.Meta, placeKey)
	if errors.Is(err, store.ErrNotFound) {
		return "", nil
	}
	return string(b), err
}

// SetPlace says that the store's origin is used in this place.
func SetPlace(tx store.Tx, place string) error {
	return tx.Put("", store.Meta, placeKey, []byte(place))
}

// Load returns a space in the state the store holds, empty if it holds none. A
// record that is damaged or does not fit the others is a [*store.CorruptError]:
// a node that missed its own head would use a dot twice.
func Load(r store.Reader, name string, self merge.Origin, kinds crdt.Kinds) (*crdtsync.Space, error) {
	cfg := crdtsync.SpaceConfig{Name: name, Self: self, Kinds: kinds, Heads: make(map[merge.Origin]crdtsync.Head)}
	changes := uint64(0)
	for rec, err := range r.Scan(name, store.Vector, store.Range{}) {
		if err != nil {
			return nil, err
		}
		o, h, err := readHead(rec)
		if err != nil {
			return nil, corrupt(name, store.Vector, rec.Key, err)
		}
		cfg.Heads[o] = h
		changes += h.Seq
	}
	var err error
	if cfg.Summary, err = loadSummary(r, name); err != nil {
		return nil, err
	}
	if cfg.Floor, err = Floor(r, name); err != nil {
		return nil, err
	}
	if cfg.Severed, err = severedIn(r, name); err != nil {
		return nil, err
	}
	if changes != cfg.Summary.Changes {
		err := fmt.Errorf("%d changes counted, the heads make %d", cfg.Summary.Changes, changes)
		return nil, corrupt(name, store.Meta, summaryKey, err)
	}
	return crdtsync.NewSpace(cfg), nil
}

func loadSummary(r store.Reader, name string) (crdtsync.Summary, error) {
	b, err := r.Get(name, store.Meta, summaryKey)
	if errors.Is(err, store.ErrNotFound) {
		return crdtsync.Summary{}, nil
	}
	if err != nil {
		return crdtsync.Summary{}, err
	}
	s, err := readSummary(b)
	if err != nil {
		return s, corrupt(name, store.Meta, summaryKey, err)
	}
	return s, nil
}

// Scan reads all cells of a space, and what is said of them beside them.
func Scan(r store.Reader, name string) (*crdtsync.Scan, error) {
	b, err := r.Get(name, store.Meta, summaryKey)
	if errors.Is(err, store.ErrNotFound) {
		return crdtsync.NewScan(crdtsync.Summary{}), nil
	}
	if err != nil {
		return nil, err
	}
	sum, err := readSummary(b)
	if err != nil {
		return nil, corrupt(name, store.Meta, summaryKey, err)
	}
	scan := crdtsync.NewScan(sum)
	for rec, err := range r.Scan(name, store.Cells, store.Range{}) {
		if err != nil {
			return nil, err
		}
		scan.Add(rec.Key, rec.Value)
	}
	return scan, nil
}

// Save writes everything a stage needs durable before it is committed.
func Save(tx store.Tx, name string, p *crdtsync.Persist) error {
	var key []byte
	for _, k := range slices.Sorted(maps.Keys(p.Cells)) { // stores take ascending keys fastest
		key = append(key[:0], k...)
		if err := saveCell(tx, name, key, p.Cells[k]); err != nil {
			return err
		}
	}
	for _, c := range p.Log {
		if err := tx.Put(name, store.Log, logKey(c.Dot), c.Bytes()); err != nil {
			return err
		}
	}
	if err := noteUnread(tx, name, p.Unread); err != nil {
		return err
	}
	for o, h := range p.Heads {
		if err := saveHead(tx, name, o, h); err != nil {
			return err
		}
	}
	if err := saveArrival(tx, name, p); err != nil {
		return err
	}
	if p.Floor != nil {
		if err := saveFloor(tx, name, p.Floor); err != nil {
			return err
		}
	}
	if len(p.Merged) > 0 {
		if err := forget(tx, name, p.Merged...); err != nil {
			return err
		}
		for _, d := range p.Merged {
			if err := dropBases(tx, name, d.Origin); err != nil {
				return err
			}
		}
	}
	return tx.Put(name, store.Meta, summaryKey, appendSummary(nil, p.Summary))
}

// saveHead keeps the head of an origin, or that it has none any more.
func saveHead(tx store.Tx, name string, o merge.Origin, h crdtsync.Head) error {
	if h.Seq == 0 {
		return tx.Delete(name, store.Vector, o[:])
	}
	return tx.Put(name, store.Vector, o[:], appendHead(nil, h))
}

func saveCell(tx store.Tx, name string, key, state []byte) error {
	if state == nil {
		return tx.Delete(name, store.Cells, key)
	}
	return tx.Put(name, store.Cells, key, state)
}

// Change returns an encoded change out of the log, in memory of the caller's.
func Change(r store.Reader, space string, d merge.Dot) ([]byte, error) {
	b, err := r.Get(space, store.Log, logKey(d))
	if err != nil {
		return nil, fmt.Errorf("change %s of space %q: %w", d, space, err)
	}
	return bytes.Clone(b), nil
}

// ChangePart returns size bytes of an encoded change, from offset on, in memory of
// the caller's.
func ChangePart(r store.Reader, space string, d merge.Dot, offset, size int) ([]byte, error) {
	b, err := r.Get(space, store.Log, logKey(d))
	if err != nil {
		return nil, fmt.Errorf("change %s of space %q: %w", d, space, err)
	}
	if offset+size > len(b) {
		return nil, corrupt(space, store.Log, logKey(d), errors.New("shorter than it was"))
	}
	return bytes.Clone(b[offset : offset+size]), nil
}

// Cells reads the cells of one space in a transaction. The states it returns
// are the caller's and outlive the transaction.
type Cells struct {
	Reader store.Reader
	Space  string
}

// Cell returns the state of a cell, nil if it is absent.
func (c Cells) Cell(key []byte) ([]byte, error) {
	b, err := c.Reader.Get(c.Space, store.Cells, key)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil, nil
	case err != nil:
		return nil, err
	}
	return append([]byte{}, b...), nil
}

func corrupt(space string, t store.Table, key []byte, err error) error {
	return &store.CorruptError{Space: space, Table: t, Key: bytes.Clone(key), Offset: -1, Err: err}
}

// logKey orders the log by origin and sequence number.
func logKey(d merge.Dot) []byte {
	b := append(make([]byte, 0, 24), d.Origin[:]...)
	return binary.BigEndian.AppendUint64(b, d.Seq)
}

func appendHead(b []byte, h crdtsync.Head) []byte {
	b = slices.Grow(b, 2*binary.MaxVarintLen64+1+len(h.Hash))
	b = binary.AppendUvarint(b, h.Seq)
	b = binary.AppendUvarint(b, uint64(h.Time))
	tip := byte(0)
	if h.Tip {
		tip = 1
	}
	return append(append(b, tip), h.Hash[:]...)
}

func readHead(rec store.Record) (o merge.Origin, h crdtsync.Head, err error) {
	if len(rec.Key) != len(o) {
		return o, h, errors.New("not an origin")
	}
	copy(o[:], rec.Key)
	r := varint.NewReader("head", rec.Value)
	h.Seq, h.Time = r.Uvarint(), hlc.Timestamp(r.Uvarint())
	if h.Seq == 0 || h.Seq > merge.MaxSeq {
		r.Fail("sequence number 0 or beyond the limit")
	}
	tip := r.Byte()
	if h.Tip = tip == 1; tip > 1 {
		r.Fail("neither a tip nor none")
	}
	copy(h.Hash[:], r.Fixed(len(h.Hash)))
	return o, h, r.Done()
}

func appendSummary(b []byte, s crdtsync.Summary) []byte {
	b = append(slices.Grow(b, 1+3*binary.MaxVarintLen64+2*len(s.Applied)*8), summaryVersion)
	for _, n := range [...]uint64{s.Changes, s.Unread, uint64(s.LastTime)} {
		b = binary.AppendUvarint(b, n)
	}
	return append(append(b, s.Applied.Bytes()...), s.Cells.Bytes()...)
}

func readSummary(b []byte) (s crdtsync.Summary, err error) {
	r := varint.NewReader("summary", b)
	if r.Byte() != summaryVersion {
		r.Fail("unknown version")
	}
	s.Changes, s.Unread, s.LastTime = r.Uvarint(), r.Uvarint(), hlc.Timestamp(r.Uvarint())
	s.Applied, _ = crdtsync.ParseFingerprint(r.Fixed(32))
	s.Cells, _ = crdtsync.ParseFingerprint(r.Fixed(32))
	return s, r.Done()
}
