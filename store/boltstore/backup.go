package boltstore

import (
	"cmp"
	"context"
	"io"

	"github.com/joinery-crdt/joinery/store/internal/overlay"
	"go.etcd.io/bbolt"
)

// Backup writes a consistent copy of the store to w while others read and
// write. The copy, as joinery.db in a directory of its own, is a store. Backup
// is a View for as long as it runs, so w should be a file rather than a slow
// peer. It does not flush w. When ctx ends it stops with the context's error.
func (s *Store) Backup(ctx context.Context, w io.Writer) error {
	return s.read(ctx, func(tx *bbolt.Tx) error {
		cw := &contextWriter{ctx: ctx, w: w}
		_, err := tx.WriteTo(cw)
		return wrap("backup", cmp.Or(cw.err, err))
	})
}

// A contextWriter writes until its context ends.
type contextWriter struct {
	ctx context.Context
	w   io.Writer
	err error // the first one; bbolt keeps its text only
}

func (w *contextWriter) Write(p []byte) (int, error) {
	if w.err = w.ctx.Err(); w.err != nil {
		return 0, w.err
	}
	n, err := w.w.Write(p)
	w.err = err
	return n, err
}

// Check reads every record and returns the first damage as a
// [*store.CorruptError]. It is a View for as long as it runs. When ctx ends it
// stops with the context's error.
func (s *Store) Check(ctx context.Context) error {
	return s.read(ctx, func(tx *bbolt.Tx) error {
		b := &base{tx: tx}
		names, err := b.spaces()
		if err != nil {
			return err
		}
		for _, name := range append(names, "") {
			if err := b.check(ctx, name); err != nil {
				return err
			}
		}
		return nil
	})
}

// check reads every record of a space.
func (b *base) check(ctx context.Context, space string) error {
	for _, err := range b.Scan(overlay.AppendSpace(nil, space), nil) {
		if err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	return nil
}
