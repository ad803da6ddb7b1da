package faultstore

import (
	"iter"

	"github.com/joinery-crdt/joinery/store"
)

// A reader asks the rule before each read.
type reader struct {
	inner store.Reader
	s     *Store
}

// Get implements [store.Reader].
func (r reader) Get(space string, t store.Table, key []byte) ([]byte, error) {
	if err := r.s.step(Step{Op: Get, Space: space, Table: t}); err != nil {
		return nil, err
	}
	return r.inner.Get(space, t, key)
}

// Scan implements [store.Reader].
func (r reader) Scan(space string, t store.Table, rg store.Range) iter.Seq2[store.Record, error] {
	return func(yield func(store.Record, error) bool) {
		if err := r.s.step(Step{Op: Scan, Space: space, Table: t}); err != nil {
			yield(store.Record{}, err)
			return
		}
		for rec, err := range r.inner.Scan(space, t, rg) {
			if err == nil {
				err = r.s.step(Step{Op: Next, Space: space, Table: t})
			}
			if err != nil {
				yield(store.Record{}, err)
				return
			}
			if !yield(rec, nil) {
				return
			}
		}
	}
}

// Spaces implements [store.Reader].
func (r reader) Spaces() iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		if err := r.s.step(Step{Op: Spaces}); err != nil {
			yield("", err)
			return
		}
		r.inner.Spaces()(yield)
	}
}

// A tx asks the rule before each read and write.
type tx struct {
	reader
	inner store.Tx
}

// Put implements [store.Tx].
func (t tx) Put(space string, table store.Table, key, value []byte) error {
	if err := t.s.step(Step{Op: Put, Space: space, Table: table, Bytes: len(key) + len(value)}); err != nil {
		return err
	}
	return t.inner.Put(space, table, key, value)
}

// Delete implements [store.Tx].
func (t tx) Delete(space string, table store.Table, key []byte) error {
	if err := t.s.step(Step{Op: Delete, Space: space, Table: table}); err != nil {
		return err
	}
	return t.inner.Delete(space, table, key)
}
