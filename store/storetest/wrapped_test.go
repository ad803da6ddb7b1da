package storetest_test

import (
	"context"
	"iter"
	"testing"

	"github.com/joinery-crdt/joinery/store"
	"github.com/joinery-crdt/joinery/store/memstore"
)

// wrapped is a store whose single operations can be replaced. nil functions
// leave them as they are.
type wrapped struct {
	store.Store
	get    func(r store.Reader, space string, t store.Table, key []byte) ([]byte, error)
	scan   func(r store.Reader, space string, t store.Table, rg store.Range) iter.Seq2[store.Record, error]
	spaces func(r store.Reader) iter.Seq2[string, error]
	put    func(tx store.Tx, space string, t store.Table, key, value []byte) error
	delete func(tx store.Tx, space string, t store.Table, key []byte) error
	update func(ctx context.Context, s store.Store, fn func(store.Tx) error) error
	view   func(ctx context.Context, s store.Store, fn func(store.Reader) error) error
	close  func(s store.Store) error
}

// with returns a defect's open: a good store with w's operations.
func with(w wrapped) opener {
	return func(t *testing.T, d *memstore.Disk) store.Store {
		s := w
		s.Store = open(t, d)
		return &s
	}
}

func (w *wrapped) View(ctx context.Context, fn func(store.Reader) error) error {
	inner := func(r store.Reader) error { return fn(wrappedReader{r, w}) }
	if w.view != nil {
		return w.view(ctx, w.Store, inner)
	}
	return w.Store.View(ctx, inner)
}

func (w *wrapped) Update(ctx context.Context, fn func(store.Tx) error) error {
	inner := func(tx store.Tx) error { return fn(wrappedTx{wrappedReader{tx, w}, tx}) }
	if w.update != nil {
		return w.update(ctx, w.Store, inner)
	}
	return w.Store.Update(ctx, inner)
}

func (w *wrapped) Close() error {
	if w.close != nil {
		return w.close(w.Store)
	}
	return w.Store.Close()
}

type wrappedReader struct {
	store.Reader
	w *wrapped
}

func (r wrappedReader) Get(space string, t store.Table, key []byte) ([]byte, error) {
	if r.w.get != nil {
		return r.w.get(r.Reader, space, t, key)
	}
	return r.Reader.Get(space, t, key)
}

func (r wrappedReader) Scan(space string, t store.Table, rg store.Range) iter.Seq2[store.Record, error] {
	if r.w.scan != nil {
		return r.w.scan(r.Reader, space, t, rg)
	}
	return r.Reader.Scan(space, t, rg)
}

func (r wrappedReader) Spaces() iter.Seq2[string, error] {
	if r.w.spaces != nil {
		return r.w.spaces(r.Reader)
	}
	return r.Reader.Spaces()
}

type wrappedTx struct {
	wrappedReader
	tx store.Tx
}

func (t wrappedTx) Put(space string, table store.Table, key, value []byte) error {
	if t.w.put != nil {
		return t.w.put(t.tx, space, table, key, value)
	}
	return t.tx.Put(space, table, key, value)
}

func (t wrappedTx) Delete(space string, table store.Table, key []byte) error {
	if t.w.delete != nil {
		return t.w.delete(t.tx, space, table, key)
	}
	return t.tx.Delete(space, table, key)
}

// records collects a scan.
func records(seq iter.Seq2[store.Record, error]) ([]store.Record, error) {
	var all []store.Record
	for rec, err := range seq {
		if err != nil {
			return nil, err
		}
		all = append(all, rec)
	}
	return all, nil
}

// replay yields collected records, or the error.
func replay(all []store.Record, err error) iter.Seq2[store.Record, error] {
	return func(yield func(store.Record, error) bool) {
		for _, rec := range all {
			if !yield(rec, nil) {
				return
			}
		}
		if err != nil {
			yield(store.Record{}, err)
		}
	}
}

// list yields names.
func list(names ...string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for _, name := range names {
			if !yield(name, nil) {
				return
			}
		}
	}
}
