package spacestore

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/joinery-crdt/joinery/merge"
	"github.com/joinery-crdt/joinery/store"
	crdtsync "github.com/joinery-crdt/joinery/sync"
)

// A past answers what changes wrote to, out of the log and out of stubs. It
// keeps what it has read, up to a bound: ops of one change are asked for one
// after the other.
type past struct {
	r     store.Reader
	space string
	log   map[merge.Dot][]string // stored keys by number of the op; empty if the log does not hold it
	stubs map[merge.Dot]*stub    // without cells if there is none
	dirty map[merge.Dot]bool     // stubs that differ from what is stored
	size  int                    // bytes of keys in all that
}

// maxPast is how many bytes of keys a past keeps, beside those of one change.
const maxPast = 4 << 20

func newPast(r store.Reader, space string) *past {
	p := &past{r: r, space: space}
	p.clear()
	return p
}

func (p *past) clear() {
	p.log, p.stubs, p.dirty = make(map[merge.Dot][]string), make(map[merge.Dot]*stub), make(map[merge.Dot]bool)
	p.size = 0
}

// logged returns the stored keys of the cells that a change in the log wrote to,
// ascending, by the number of the op; none if the log does not hold it.
func (p *past) logged(d merge.Dot) ([]string, error) {
	if keys, ok := p.log[d]; ok {
		return keys, nil
	}
	b, err := p.r.Get(p.space, store.Log, logKey(d))
	if errors.Is(err, store.ErrNotFound) {
		p.log[d] = nil
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	c, err := crdtsync.DecodeChange(slices.Clone(b))
	if err != nil {
		return nil, corrupt(p.space, store.Log, logKey(d), err)
	}
	p.log[d] = keysOf(c)
	p.grow(p.log[d]...)
	return p.log[d], nil
}

func (p *past) grow(keys ...string) {
	for _, k := range keys {
		p.size += len(k)
	}
}

func keysOf(c *crdtsync.Change) []string {
	keys := make([]string, len(c.Ops))
	for i := range c.Ops {
		key, _ := c.Ops[i].Cell.AppendBinary(nil) // never fails
		keys[i] = string(key)
	}
	return keys
}

// stub returns the stub of a change, one without cells if there is none.
func (p *past) stub(d merge.Dot) (*stub, error) {
	if s, ok := p.stubs[d]; ok {
		return s, nil
	}
	s := &stub{of: d}
	b, err := p.r.Get(p.space, store.Meta, stubKeyOf(d))
	if err == nil {
		if s, err = readStub(d, b); err != nil {
			return nil, corrupt(p.space, store.Meta, stubKeyOf(d), err)
		}
	} else if !errors.Is(err, store.ErrNotFound) {
		return nil, err
	}
	for _, c := range s.cells {
		p.grow(c.key)
	}
	p.stubs[d] = s
	return s, nil
}

// name returns the op of a change by its cell, and whether it is known.
func (p *past) name(d merge.Dot, key string) (n crdtsync.OpName, ok bool, err error) {
	defer p.trim()
	keys, err := p.logged(d)
	if err != nil {
		return n, false, err
	}
	if i, ok := slices.BinarySearch(keys, key); ok {
		return crdtsync.OpName{Dot: d, Op: uint64(i)}, true, nil
	}
	s, err := p.stub(d)
	if err != nil || s.old {
		return n, false, err
	}
	i, ok := s.find(key)
	if ok {
		n = crdtsync.OpName{Dot: d, Op: s.cells[i].op}
	}
	return n, ok, nil
}

// key returns the stored key of the cell that an op wrote to, and whether it is
// known.
func (p *past) key(n crdtsync.OpName) (key string, ok bool, err error) {
	defer p.trim()
	keys, err := p.logged(n.Dot)
	switch {
	case err != nil:
		return "", false, err
	case n.Op < uint64(len(keys)):
		return keys[n.Op], true, nil
	}
	s, err := p.stub(n.Dot)
	if err != nil {
		return "", false, err
	}
	key, ok = s.keyOf(n.Op)
	return key, ok, nil
}

// trim keeps the past within its bound. What is to be written stays.
func (p *past) trim() {
	if p.size > maxPast && len(p.dirty) == 0 {
		p.clear()
	}
}

// Resolve returns the stored keys of the cells that ops wrote to, empty for those
// that the store cannot tell any more, or never could.
func Resolve(r store.Reader, space string, names []crdtsync.OpName) ([]string, error) {
	p, keys := newPast(r, space), make([]string, len(names))
	for i, n := range names {
		key, _, err := p.key(n)
		if err != nil {
			return nil, err
		}
		keys[i] = key
	}
	return keys, nil
}

// A stubWriter makes stubs of changes that leave the log.
type stubWriter struct {
	*past
	tx store.Tx
}

func newStubWriter(tx store.Tx, space string) *stubWriter {
	return &stubWriter{newPast(tx, space), tx}
}

// add makes the stub of a change in the log. It takes what the change superseded
// off the stubs of others: whoever lacks those changes lacks this one too.
func (w *stubWriter) add(c *crdtsync.Change) error {
	s := &stub{of: c.Dot, cells: make([]stubCell, len(c.Ops))}
	for i, key := range keysOf(c) {
		before, err := w.supersede(c.Ops[i].Seen, key)
		if err != nil {
			return err
		}
		s.cells[i] = stubCell{uint64(i), key, before}
	}
	w.stubs[c.Dot], w.dirty[c.Dot] = s, true
	w.grow(keysOf(c)...)
	return nil
}

// supersede takes a cell off the stubs of the changes whose ops on it were
// superseded, and returns ops that wrote to it before, the latest first.
func (w *stubWriter) supersede(seen []merge.Dot, key string) ([]crdtsync.OpName, error) {
	var latest, before []crdtsync.OpName
	for _, d := range seen {
		if err := w.bound(); err != nil {
			return nil, err
		}
		known, err := w.takeOff(d, key)
		if err != nil {
			return nil, err
		}
		if len(known) > 0 {
			latest, before = append(latest, known[0]), append(before, known[1:]...)
		}
	}
	latest = append(latest, before...)
	return latest[:min(len(latest), maxBefore)], nil
}

// takeOff takes a cell off the stub of a change, if there is one, and returns the
// ops that are known to have written to it, that change's first.
func (w *stubWriter) takeOff(d merge.Dot, key string) ([]crdtsync.OpName, error) {
	s, err := w.stub(d)
	if err != nil {
		return nil, err
	}
	if before, ok := s.take(key); ok {
		w.dirty[d] = true
		return before, nil
	}
	n, ok, err := w.name(d, key)
	if err != nil || !ok {
		return nil, err
	}
	return []crdtsync.OpName{n}, nil
}

// bound writes what has changed once much is kept.
func (w *stubWriter) bound() error {
	if w.size <= maxPast {
		return nil
	}
	return w.flush()
}

// flush writes the stubs that have changed, and forgets all others.
func (w *stubWriter) flush() error {
	for _, d := range slices.SortedFunc(maps.Keys(w.dirty), merge.Dot.Compare) {
		if err := w.put(w.stubs[d]); err != nil {
			return err
		}
	}
	w.clear()
	return nil
}

// put writes a stub, or none if it names no cells.
func (w *stubWriter) put(s *stub) error {
	if len(s.cells) == 0 {
		return w.tx.Delete(w.space, store.Meta, stubKeyOf(s.of))
	}
	return w.tx.Put(w.space, store.Meta, stubKeyOf(s.of), s.append(nil))
}

// A touchReader gathers the cells that changes wrote to.
type touchReader struct {
	*past
	known   merge.Dots // what may name cells, nil for nothing
	touches []crdtsync.Touch
	last    merge.Dot // looked at
	until   uint64
	count   int
	full    bool // there may be more
}

// stubbed takes what the stubs say.
func (t *touchReader) stubbed() error {
	within := store.Range{Prefix: slices.Concat(stubKey, t.last.Origin[:]), After: stubKeyOf(t.last)}
	for rec, err := range t.r.Scan(t.space, store.Meta, within) {
		if err != nil {
			return err
		}
		d, err := readLogKey(rec.Key[len(stubKey):])
		if err != nil {
			return corrupt(t.space, store.Meta, rec.Key, err)
		}
		if t.done(d) {
			return nil
		}
		s, err := readStub(d, rec.Value)
		if err != nil {
			return corrupt(t.space, store.Meta, rec.Key, err)
		}
		for _, c := range s.cells {
			touch := crdtsync.Touch{Key: c.key}
			if i := slices.IndexFunc(c.before, t.nameable); i >= 0 {
				touch.Name = c.before[i]
			}
			t.touches = append(t.touches, touch)
		}
		t.last = d
	}
	return nil
}

func (t *touchReader) nameable(n crdtsync.OpName) bool {
	return t.known != nil && t.known.Contains(n.Dot)
}

// done reports whether the change d is one too many.
func (t *touchReader) done(d merge.Dot) bool {
	t.full = d.Seq <= t.until && len(t.touches) >= t.count
	return t.full || d.Seq > t.until
}

// logged takes what the log says.
func (t *touchReader) logged() error {
	within := store.Range{Prefix: t.last.Origin[:], After: logKey(t.last)}
	for rec, err := range t.r.Scan(t.space, store.Log, within) {
		if err != nil {
			return err
		}
		d, err := readLogKey(rec.Key)
		if err != nil {
			return corrupt(t.space, store.Log, rec.Key, err)
		}
		if t.done(d) {
			return nil
		}
		if d.Seq != t.last.Seq+1 {
			return corrupt(t.space, store.Log, rec.Key, fmt.Errorf("it follows change %d", t.last.Seq))
		}
		c, err := crdtsync.DecodeChange(slices.Clone(rec.Value))
		if err != nil {
			return corrupt(t.space, store.Log, rec.Key, err)
		}
		if err := t.take(c); err != nil {
			return err
		}
		t.last = d
	}
	return nil
}

// take takes the cells of a change in the log.
func (t *touchReader) take(c *crdtsync.Change) error {
	for i, key := range keysOf(c) {
		touch := crdtsync.Touch{Key: key}
		for _, d := range c.Ops[i].Seen {
			if touch.Named() || !t.nameable(crdtsync.OpName{Dot: d}) {
				continue
			}
			n, ok, err := t.name(d, key)
			if err != nil {
				return err
			}
			if ok {
				touch.Name = n
			}
		}
		t.touches = append(t.touches, touch)
	}
	return nil
}
