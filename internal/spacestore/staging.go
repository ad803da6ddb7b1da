package spacestore

import (
	"encoding/binary"
	"errors"
	"iter"
	"slices"

	"github.com/joinery-crdt/joinery/internal/varint"
	"github.com/joinery-crdt/joinery/merge"
	"github.com/joinery-crdt/joinery/store"
	crdtsync "github.com/joinery-crdt/joinery/sync"
)

// Keys of what is staged of a snapshot.
var (
	stagedCell = []byte("c") // prefix; then the stored key
	stagedHead = []byte("h") // prefix; then the origin
	stagedMeta = []byte("m")
)

// What stands before the state of a staged cell.
const (
	stagedAbsent  = 0
	stagedPresent = 1
)

// A Staging is how far a snapshot has come that is being received.
type Staging struct {
	Whole bool
	Base  *merge.VersionVector // since when cells are sent again that are written to
	After string               // key up to which all cells are staged
	// Chunks is the number of chunks that came since the beginning was said.
	Chunks uint64
}

// StagingOf returns what is staged of a whole snapshot, the zero Staging if
// there is nothing to go on with.
func StagingOf(r store.Reader, name string) (Staging, error) {
	s, err := staging(r, name)
	if !s.Whole {
		s = Staging{}
	}
	if s.Base == nil {
		s.Base = &merge.VersionVector{}
	}
	return s, err
}

func staging(r store.Reader, name string) (s Staging, err error) {
	b, err := r.Get(name, store.Staging, stagedMeta)
	if errors.Is(err, store.ErrNotFound) {
		return s, nil
	}
	if err != nil {
		return s, err
	}
	in := varint.NewReader("staging", b)
	s.Whole = in.Byte() == 1
	s.Base = merge.ReadVector(in)
	s.After = string(in.Bytes())
	s.Chunks = in.Uvarint()
	if err := in.Done(); err != nil {
		return Staging{}, corrupt(name, store.Staging, stagedMeta, err)
	}
	return s, nil
}

func saveStaging(tx store.Tx, name string, s Staging) error {
	b := []byte{0}
	if s.Whole {
		b[0] = 1
	}
	b, err := s.Base.AppendBinary(b)
	if err != nil {
		return err
	}
	b = binary.AppendUvarint(varint.AppendString(b, s.After), s.Chunks)
	return tx.Put(name, store.Staging, stagedMeta, b)
}

// A Receiver stages the parts of one snapshot, in order.
type Receiver struct {
	open string // key of the cell of which more is to come
}

// Begin makes room for a snapshot. What is staged stays if it is what the
// snapshot goes on with.
func (r *Receiver) Begin(tx store.Tx, name string, f *crdtsync.SnapshotBegin) error {
	s, err := staging(tx, name)
	if err != nil {
		return err
	}
	r.open = ""
	whole := f.Step == crdtsync.SnapshotWhole
	if whole && s.Whole && f.After != "" && s.After == f.After && s.Base.Equal(f.Vector) {
		if err := clearStaged(tx, name, stagedHead); err != nil {
			return err
		}
	} else if err := ClearStaging(tx, name); err != nil {
		return err
	}
	return saveStaging(tx, name, Staging{whole, f.Vector, f.After, 0})
}

// Chunk stages what the chunk that follows carries.
func (r *Receiver) Chunk(tx store.Tx, name string, f *crdtsync.SnapshotChunk) error {
	s, err := staging(tx, name)
	if err != nil || s.Base == nil {
		return err
	}
	for _, p := range f.Parts {
		if err := r.part(tx, name, p); err != nil {
			return err
		}
		if r.open == "" {
			s.After = max(s.After, p.Key)
		}
	}
	for _, h := range f.Heads {
		key := append(slices.Clone(stagedHead), h.Origin[:]...)
		if err := tx.Put(name, store.Staging, key, appendHead(nil, h.Head)); err != nil {
			return err
		}
	}
	s.Chunks++
	return saveStaging(tx, name, s)
}

// Named stages what a chunk of named cells carries. If it cannot tell which cells
// they are, it takes the snapshot out of staging and returns the changes of which
// the store no longer knows what they wrote to, an empty vector if that does not
// explain it; otherwise unknown is nil. See [crdtsync.Link.Spell].
func (r *Receiver) Named(tx store.Tx, name string, f *crdtsync.SnapshotNamed) (unknown *merge.VersionVector, err error) {
	names := slices.Clone(f.Gone)
	for _, c := range f.Held {
		names = append(names, c.OpName)
	}
	keys, err := Resolve(tx, name, names)
	if err != nil {
		return nil, err
	}
	if slices.Contains(keys, "") || crdtsync.CheckKeys(keys) != f.Check {
		if err := ClearStaging(tx, name); err != nil {
			return nil, err
		}
		return Forgotten(tx, name)
	}
	chunk := &crdtsync.SnapshotChunk{Parts: make([]crdtsync.CellPart, len(keys))}
	for i, k := range keys {
		chunk.Parts[i].Key = k
		if i >= len(f.Gone) {
			chunk.Parts[i].State = f.Held[i-len(f.Gone)].State
		}
	}
	return nil, r.Chunk(tx, name, chunk)
}

func (r *Receiver) part(tx store.Tx, name string, p crdtsync.CellPart) error {
	key := append(slices.Clone(stagedCell), p.Key...)
	value := []byte{stagedAbsent}
	if p.State != nil {
		value[0] = stagedPresent
	}
	if r.open == p.Key {
		before, err := tx.Get(name, store.Staging, key)
		if err != nil {
			return err
		}
		value = slices.Clone(before)
	}
	if r.open = ""; p.More {
		r.open = p.Key
	}
	return tx.Put(name, store.Staging, key, append(value, p.State...))
}

// Merge merges the staged snapshot in a stage and takes it out of staging,
// whether it could be merged or not; one that is from the future, or for a later
// version of this node, stays. The second error says why it could not be merged.
func Merge(tx store.Tx, name string, st *crdtsync.Stage, f *crdtsync.SnapshotEnd) (err, refused error) {
	s, err := staging(tx, name)
	if err != nil {
		return err, nil
	}
	if s.Base == nil || s.Chunks != f.Chunks {
		return ClearStaging(tx, name), &crdtsync.SnapshotError{Space: name, Problem: "is not staged whole"}
	}
	heads, err := stagedHeads(tx, name)
	if err != nil {
		return err, nil
	}
	read := &stagedCells{tx: tx, name: name, stage: st, whole: s.Whole}
	refused = st.Merge(&crdtsync.Snapshot{Heads: heads, Cells: read.all(), Whole: s.Whole, Print: f.Print})
	switch {
	case read.err != nil:
		return read.err, nil
	case errors.Is(refused, crdtsync.ErrFuture), errors.Is(refused, crdtsync.ErrUnknownType):
		return nil, refused
	}
	return ClearStaging(tx, name), refused
}

func stagedHeads(r store.Reader, name string) (map[merge.Origin]crdtsync.Head, error) {
	heads := make(map[merge.Origin]crdtsync.Head)
	for rec, err := range r.Scan(name, store.Staging, store.Range{Prefix: stagedHead}) {
		if err != nil {
			return nil, err
		}
		rec.Key = rec.Key[len(stagedHead):]
		o, h, err := readHead(rec)
		if err != nil {
			return nil, corrupt(name, store.Staging, rec.Key, err)
		}
		heads[o] = h
	}
	return heads, nil
}

// stagedCells reads the cells of a snapshot.
type stagedCells struct {
	tx    store.Tx
	name  string
	stage *crdtsync.Stage
	whole bool
	err   error // of the store
}

// all yields what is staged and, for a whole snapshot, every cell that is here
// and not in it.
func (c *stagedCells) all() iter.Seq2[crdtsync.StoredCell, error] {
	return func(yield func(crdtsync.StoredCell, error) bool) {
		touched := c.stage.TouchedKeys(nil)
		for rec, err := range c.tx.Scan(c.name, store.Staging, store.Range{Prefix: stagedCell}) {
			if err == nil && len(rec.Value) == 0 {
				err = corrupt(c.name, store.Staging, rec.Key, errors.New("neither a cell nor none"))
			}
			if err != nil {
				c.fail(err, yield)
				return
			}
			if !yield(stored(rec), nil) {
				return
			}
		}
		if c.whole && c.absent(touched, yield) {
			c.others(yield)
		}
	}
}

func stored(rec store.Record) crdtsync.StoredCell {
	cell := crdtsync.StoredCell{Key: string(rec.Key[len(stagedCell):])}
	if rec.Value[0] == stagedPresent {
		cell.State = append([]byte{}, rec.Value[1:]...)
	}
	return cell
}

func (c *stagedCells) fail(err error, yield func(crdtsync.StoredCell, error) bool) {
	c.err = err
	yield(crdtsync.StoredCell{}, err)
}

// absent yields those of the keys that are neither staged nor stored: the stage
// has made the cells.
func (c *stagedCells) absent(keys []string, yield func(crdtsync.StoredCell, error) bool) bool {
	for _, k := range keys {
		_, err := c.tx.Get(c.name, store.Cells, []byte(k))
		if err == nil {
			continue
		}
		if !errors.Is(err, store.ErrNotFound) {
			c.fail(err, yield)
			return false
		}
		if !c.unlessStaged(k, yield) {
			return false
		}
	}
	return true
}

// others yields the stored cells that are not staged.
func (c *stagedCells) others(yield func(crdtsync.StoredCell, error) bool) {
	for rec, err := range c.tx.Scan(c.name, store.Cells, store.Range{}) {
		if err != nil {
			c.fail(err, yield)
			return
		}
		if !c.unlessStaged(string(rec.Key), yield) {
			return
		}
	}
}

func (c *stagedCells) unlessStaged(key string, yield func(crdtsync.StoredCell, error) bool) bool {
	_, err := c.tx.Get(c.name, store.Staging, append(slices.Clone(stagedCell), key...))
	switch {
	case err == nil:
		return true
	case !errors.Is(err, store.ErrNotFound):
		c.fail(err, yield)
		return false
	}
	return yield(crdtsync.StoredCell{Key: key}, nil)
}

// ClearStaging takes everything out of staging.
func ClearStaging(tx store.Tx, name string) error { return clearStaged(tx, name, nil) }

func clearStaged(tx store.Tx, name string, prefix []byte) error {
	for rec, err := range tx.Scan(name, store.Staging, store.Range{Prefix: prefix}) {
		if err == nil {
			err = tx.Delete(name, store.Staging, rec.Key)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Snapshots reads one space for the snapshots that are sent of it; see
// [crdtsync.Source].
type Snapshots struct {
	Reader store.Reader
	Space  string
}

// State returns the heads and the summary.
func (s Snapshots) State() (map[merge.Origin]crdtsync.Head, crdtsync.Summary, error) {
	heads := make(map[merge.Origin]crdtsync.Head)
	for rec, err := range s.Reader.Scan(s.Space, store.Vector, store.Range{}) {
		if err != nil {
			return nil, crdtsync.Summary{}, err
		}
		o, h, err := readHead(rec)
		if err != nil {
			return nil, crdtsync.Summary{}, corrupt(s.Space, store.Vector, rec.Key, err)
		}
		heads[o] = h
	}
	sum, err := loadSummary(s.Reader, s.Space)
	return heads, sum, err
}

// CellsAfter returns the cells that follow a key, at least one if there is one,
// and beyond it at most size bytes.
func (s Snapshots) CellsAfter(key string, size int) (cells []crdtsync.StoredCell, err error) {
	within := store.Range{After: []byte(key)}
	if key == "" {
		within.After = nil
	}
	for rec, err := range s.Reader.Scan(s.Space, store.Cells, within) {
		if err != nil {
			return nil, err
		}
		if size -= len(rec.Key) + len(rec.Value); size < 0 && len(cells) > 0 {
			break
		}
		cells = append(cells, crdtsync.StoredCell{Key: string(rec.Key), State: append([]byte{}, rec.Value...)})
	}
	return cells, nil
}

// CellsAt returns the cells with the given keys.
func (s Snapshots) CellsAt(keys []string) ([]crdtsync.StoredCell, error) {
	cells := make([]crdtsync.StoredCell, len(keys))
	for i, k := range keys {
		state, err := Cells(s).Cell([]byte(k))
		if err != nil {
			return nil, err
		}
		cells[i] = crdtsync.StoredCell{Key: k, State: state}
	}
	return cells, nil
}
