package storetest_test

import (
	"bytes"
	"context"
	"iter"
	"slices"

	"github.com/joinery-crdt/joinery/store"
)

type records2 = iter.Seq2[store.Record, error]

// readDefects break Get, Scan and Spaces.
func readDefects() []defect {
	return []defect{
		{"unsorted scan", "ScanOrder", with(wrapped{scan: scanReversed})},
		{"scan ignores prefix", "ScanPrefix", with(wrapped{scan: scanIgnoringPrefix})},
		{"scan includes After", "ScanAfter", with(wrapped{scan: scanFromAfter})},
		{"empty After is no After", "ScanResumes", with(wrapped{scan: scanEmptyAfter})},
		{"scan goes on after break", "ScanStopsEarly", with(wrapped{scan: scanSkippingOnce()})},
		{"scan runs once", "ScanTwice", with(wrapped{scan: scanOnce})},
		{"scans share a position", "ScanNested", with(wrapped{scan: scanShared()})},
		{"scan without values", "ScanYieldsValues", with(wrapped{scan: scanKeysOnly})},
		{"scan misses own writes", "ScanSeesOwnWrites", with(wrapped{update: updateReadingBefore})},
		{"scan sees its loop's writes", "ScanIgnoresWritesInItsLoop", with(wrapped{scan: scanLive})},
		{"get misses own writes", "UpdateSeesItsOwnWrites", with(wrapped{update: updateReadingBefore})},
		{"empty value is absent", "EmptyValueIsNotAbsent", with(wrapped{get: getNonEmpty})},
		{"get reuses its buffer", "ResultsStayValid", with(wrapped{get: getSharedBuffer()})},
		{"spaces list the nameless", "SpacesAreListed", with(wrapped{spaces: spacesWithNameless})},
		{"spaces unsorted", "SpacesOddNames", with(wrapped{spaces: spacesReversed})},
		{"spaces miss own writes", "SpacesWithinUpdate", with(wrapped{update: updateReadingBefore})},
		{"spaces skip the first", "SpacesStopEarly", with(wrapped{spaces: spacesTail})},
		{"spaces cut at 100", "ManySpaces", with(wrapped{spaces: spacesHundred})},
		{"view without snapshot", "ViewKeepsItsSnapshot", with(wrapped{view: viewReadCommitted})},
		{"view torn by writers", "ViewsAreConsistentBesideWriters", with(wrapped{view: viewReadCommitted})},
	}
}

func scanReversed(r store.Reader, space string, t store.Table, rg store.Range) records2 {
	all, err := records(r.Scan(space, t, rg))
	slices.Reverse(all)
	return replay(all, err)
}

func scanIgnoringPrefix(r store.Reader, space string, t store.Table, rg store.Range) records2 {
	return r.Scan(space, t, store.Range{After: rg.After})
}

func scanFromAfter(r store.Reader, space string, t store.Table, rg store.Range) records2 {
	all, err := records(r.Scan(space, t, store.Range{Prefix: rg.Prefix}))
	return replay(slices.DeleteFunc(all, func(rec store.Record) bool { return bytes.Compare(rec.Key, rg.After) < 0 }), err)
}

func scanEmptyAfter(r store.Reader, space string, t store.Table, rg store.Range) records2 {
	if len(rg.After) == 0 {
		rg.After = nil
	}
	return r.Scan(space, t, rg)
}

type scanFunc = func(store.Reader, string, store.Table, store.Range) records2

// scanSkippingOnce leaves a record out of the scan that follows a break.
func scanSkippingOnce() scanFunc {
	broken := false
	return func(r store.Reader, space string, t store.Table, rg store.Range) records2 {
		return func(yield func(store.Record, error) bool) {
			skip := broken
			broken = false
			for rec, err := range r.Scan(space, t, rg) {
				if skip {
					skip = false
					continue
				}
				if !yield(rec, err) {
					broken = true
					return
				}
			}
		}
	}
}

func scanOnce(r store.Reader, space string, t store.Table, rg store.Range) records2 {
	used := false
	return func(yield func(store.Record, error) bool) {
		if !used {
			used = true
			r.Scan(space, t, rg)(yield)
		}
	}
}

// scanShared ends an outer scan when an inner one has ended.
func scanShared() scanFunc {
	scans := 0
	return func(r store.Reader, space string, t store.Table, rg store.Range) records2 {
		return func(yield func(store.Record, error) bool) {
			scans++
			mine := scans
			for rec, err := range r.Scan(space, t, rg) {
				if scans != mine || !yield(rec, err) {
					return
				}
			}
		}
	}
}

func scanKeysOnly(r store.Reader, space string, t store.Table, rg store.Range) records2 {
	return func(yield func(store.Record, error) bool) {
		for rec, err := range r.Scan(space, t, rg) {
			if !yield(store.Record{Key: rec.Key}, err) {
				return
			}
		}
	}
}

// scanLive fetches one record at a time.
func scanLive(r store.Reader, space string, t store.Table, rg store.Range) records2 {
	return func(yield func(store.Record, error) bool) {
		for more := true; more; {
			more = false
			for rec, err := range r.Scan(space, t, rg) {
				if !yield(rec, err) {
					return
				}
				rg.After, more = bytes.Clone(rec.Key), err == nil
				break
			}
		}
	}
}

func getNonEmpty(r store.Reader, space string, t store.Table, key []byte) ([]byte, error) {
	v, err := r.Get(space, t, key)
	if err == nil && len(v) == 0 {
		return nil, store.ErrNotFound
	}
	return v, err
}

func getSharedBuffer() func(store.Reader, string, store.Table, []byte) ([]byte, error) {
	buf := make([]byte, 0, 1<<10)
	return func(r store.Reader, space string, t store.Table, key []byte) ([]byte, error) {
		v, err := r.Get(space, t, key)
		if err != nil || len(v) > cap(buf) {
			return v, err
		}
		return append(buf[:0], v...), nil
	}
}

func names(r store.Reader) []string {
	var all []string
	for name := range r.Spaces() {
		all = append(all, name)
	}
	return all
}

func spacesWithNameless(r store.Reader) iter.Seq2[string, error] {
	return list(append([]string{""}, names(r)...)...)
}

func spacesReversed(r store.Reader) iter.Seq2[string, error] {
	all := names(r)
	slices.Reverse(all)
	return list(all...)
}

func spacesTail(r store.Reader) iter.Seq2[string, error] {
	all := names(r)
	return list(all[min(1, len(all)):]...)
}

func spacesHundred(r store.Reader) iter.Seq2[string, error] {
	all := names(r)
	return list(all[:min(100, len(all))]...)
}

// viewReadCommitted reads each item from the newest state.
func viewReadCommitted(ctx context.Context, s store.Store, fn func(store.Reader) error) error {
	if err := s.View(ctx, func(store.Reader) error { return nil }); err != nil {
		return err
	}
	return fn(newest{ctx, s})
}

type newest struct {
	ctx context.Context
	s   store.Store
}

func (n newest) Get(space string, t store.Table, key []byte) (v []byte, err error) {
	err = n.s.View(n.ctx, func(r store.Reader) error {
		v, err = r.Get(space, t, key)
		return err
	})
	return v, err
}

func (n newest) Scan(space string, t store.Table, rg store.Range) (seq records2) {
	err := n.s.View(n.ctx, func(r store.Reader) error {
		all, err := records(r.Scan(space, t, rg))
		seq = replay(all, err)
		return nil
	})
	if err != nil {
		return replay(nil, err)
	}
	return seq
}

func (n newest) Spaces() (seq iter.Seq2[string, error]) {
	seq = list()
	_ = n.s.View(n.ctx, func(r store.Reader) error {
		seq = list(names(r)...)
		return nil
	})
	return seq
}

// updateReadingBefore runs fn on a transaction that reads what was there
// before it.
func updateReadingBefore(ctx context.Context, s store.Store, fn func(store.Tx) error) error {
	return s.Update(ctx, func(tx store.Tx) error { return fn(blind{newest{ctx, s}, tx}) })
}

type blind struct {
	newest
	tx store.Tx
}

func (b blind) Put(space string, t store.Table, key, value []byte) error {
	return b.tx.Put(space, t, key, value)
}

func (b blind) Delete(space string, t store.Table, key []byte) error {
	return b.tx.Delete(space, t, key)
}
