package storetest_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"

	"github.com/joinery-crdt/joinery/store"
	"github.com/joinery-crdt/joinery/store/memstore"
)

// lifetimeDefects break Close, reopening and contexts.
func lifetimeDefects() []defect {
	return []defect{
		{"closed store answers", "ClosedStoreRefuses", with(wrapped{view: viewAnyway})},
		{"closing twice is an error", "ClosedStoreRefuses", openClosingOnce},
		{"close drops what runs", "CloseWaits", openClosingEarly},
		{"context ignored", "ContextDoneBeforeStart", with(wrapped{update: updateWithoutContext})},
		{"context error swallowed", "ContextDoneWhileWaiting", with(wrapped{update: updateSilent})},
		{"context ends the commit", "ContextDoneLater", with(wrapped{update: updateWatching})},
		{"forgets on reopen", "ReopenKeepsWhatWasCommitted", openForgetting},
		{"forgets the last update on reopen", "ReopenKeepsWhatWasCommitted", forgettingLast()},
		{"drops every 7th update", "FollowsTheModel", openDroppingSome},
	}
}

func viewAnyway(ctx context.Context, s store.Store, fn func(store.Reader) error) error {
	if err := s.View(ctx, fn); !errors.Is(err, store.ErrClosed) {
		return err
	}
	return nil
}

func openClosingOnce(t *testing.T, d *memstore.Disk) store.Store {
	var closed atomic.Bool
	return with(wrapped{close: func(s store.Store) error {
		if closed.Swap(true) {
			return store.ErrClosed
		}
		return s.Close()
	}})(t, d)
}

// openClosingEarly makes a running Update lose its writes to a Close, or to
// the chance of one.
func openClosingEarly(t *testing.T, d *memstore.Disk) store.Store {
	closing := make(chan struct{})
	var once atomic.Bool
	return with(wrapped{
		put: func(tx store.Tx, space string, t store.Table, key, value []byte) error {
			if string(key) == "late" {
				<-closing
				return store.ErrClosed
			}
			return tx.Put(space, t, key, value)
		},
		close: func(s store.Store) error {
			if !once.Swap(true) {
				close(closing)
			}
			return s.Close()
		},
	})(t, d)
}

func updateWithoutContext(ctx context.Context, s store.Store, fn func(store.Tx) error) error {
	return s.Update(context.WithoutCancel(ctx), fn)
}

func updateSilent(ctx context.Context, s store.Store, fn func(store.Tx) error) error {
	if err := s.Update(ctx, fn); !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

func updateWatching(ctx context.Context, s store.Store, fn func(store.Tx) error) error {
	return s.Update(ctx, func(tx store.Tx) error { return errors.Join(fn(tx), ctx.Err()) })
}

func openForgetting(t *testing.T, _ *memstore.Disk) store.Store { return open(t, new(memstore.Disk)) }

// forgettingLast goes back to the state before the last Update when it is
// reopened.
func forgettingLast() opener {
	var kept *memstore.Disk // before the last Update, nil before the first
	return func(t *testing.T, d *memstore.Disk) store.Store {
		if kept != nil {
			d = kept
		}
		return &wrapped{Store: open(t, d), update: func(ctx context.Context, s store.Store, fn func(store.Tx) error) error {
			was := d.Clone()
			err := s.Update(ctx, fn)
			if err == nil {
				kept = was
			}
			return err
		}}
	}
}

func openDroppingSome(t *testing.T, d *memstore.Disk) store.Store {
	n := 0
	return with(wrapped{update: func(ctx context.Context, s store.Store, fn func(store.Tx) error) error {
		if n++; n%7 != 0 {
			return s.Update(ctx, fn)
		}
		mine := open(t, d.Clone())
		defer mine.Close()
		return mine.Update(ctx, fn)
	}})(t, d)
}
