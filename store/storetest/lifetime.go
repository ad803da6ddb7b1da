package storetest

import (
	"context"
	"errors"
	"fmt"

	"github.com/joinery-crdt/joinery/store"
)

// lifetime: closing, reopening, contexts, and long runs against a model.
var lifetime = []named{
	{"ClosedStoreRefuses", closedRefuses},
	{"CloseWaits", closeWaits},
	{"ContextDoneBeforeStart", contextDone},
	{"ContextDoneWhileWaiting", contextDoneWaiting},
	{"ContextDoneLater", contextDoneLater},
	{"ReopenKeepsWhatWasCommitted", reopenKeeps},
	{"FollowsTheModel", followsModel},
}

func closedRefuses(s *subject) error {
	if err := first(s.put("a", store.Cells, "k", "v"), s.Close()); err != nil {
		return err
	}
	called := false
	view := s.view(func(store.Reader) error { called = true; return nil })
	update := s.update(func(store.Tx) error { called = true; return nil })
	if called {
		return errors.New("a closed store called a transaction's function")
	}
	if err := s.Close(); err != nil {
		return fmt.Errorf("second Close = %w, want nil", err)
	}
	return first(wantError("View after Close", view, store.ErrClosed), wantError("Update after Close", update, store.ErrClosed))
}

// closeWaits closes the store while transactions run.
func closeWaits(s *subject) error {
	if err := s.put("a", store.Cells, "k", "v"); err != nil {
		return err
	}
	update, view, closed := make(chan error, 1), make(chan error, 1), make(chan error, 1)
	inUpdate, inView, ask := make(chan struct{}), make(chan struct{}), make(chan struct{})
	go func() {
		update <- s.update(func(tx store.Tx) error {
			close(inUpdate)
			<-ask
			return putAll(tx, "a", store.Cells, "late", "v")
		})
	}()
	go func() {
		view <- s.view(func(r store.Reader) error {
			close(inView)
			<-ask
			return wantIn(r, "a", store.Cells, "k", "v")
		})
	}()
	if err := first(running(inUpdate, update), running(inView, view)); err != nil {
		return err
	}
	go func() { closed <- s.Close() }()
	close(ask)
	return first(<-closed, <-update, <-view, s.reopen(), s.want("a", store.Cells, "late", "v"))
}

// running waits until a transaction's function has begun; ended is how the
// transaction ended if it has not.
func running(begun <-chan struct{}, ended <-chan error) error {
	select {
	case <-begun:
		return nil
	case err := <-ended:
		return fmt.Errorf("a transaction ended before its function began: %v", err)
	}
}

func contextDone(s *subject) error {
	ctx, cancel := context.WithCancel(s.ctx)
	cancel()
	called := false
	update := s.Update(ctx, func(tx store.Tx) error { called = true; return putAll(tx, "a", store.Cells, "k", "v") })
	view := s.View(ctx, func(store.Reader) error { called = true; return nil })
	if called {
		return errors.New("a transaction's function was called with a context done before")
	}
	return first(
		wantError("Update with a context done before", update, context.Canceled),
		wantError("View with a context done before", view, context.Canceled),
		s.wantAbsent("a", store.Cells, "k"),
	)
}

// contextDoneWaiting ends the context of an Update that cannot start because
// another one runs.
func contextDoneWaiting(s *subject) error {
	ctx, cancel := context.WithCancel(s.ctx)
	defer cancel()
	called := false
	err := s.update(func(tx store.Tx) error {
		waiting := make(chan error, 1)
		go func() {
			waiting <- s.Update(ctx, func(store.Tx) error { called = true; return nil })
		}()
		cancel()
		return first(
			wantError("a waiting Update whose context ended", <-waiting, context.Canceled),
			putAll(tx, "a", store.Cells, "k", "v"),
		)
	})
	if called {
		err = errors.New("a function was called after its context had ended")
	}
	return first(err, s.want("a", store.Cells, "k", "v"), s.put("a", store.Cells, "k", "w"))
}

// contextDoneLater ends the context while fn runs: only fn watches it then.
func contextDoneLater(s *subject) error {
	ctx, cancel := context.WithCancel(s.ctx)
	err := s.Update(ctx, func(tx store.Tx) error {
		cancel()
		return putAll(tx, "a", store.Cells, "k", "v")
	})
	if err != nil {
		return fmt.Errorf("an Update whose context ended while its function ran = %w, want nil", err)
	}
	return s.want("a", store.Cells, "k", "v")
}

func reopenKeeps(s *subject) error {
	err := first(
		s.put("a", store.Cells, "put", "1", "replaced", "1", "deleted", "1"),
		s.put("a", store.Cells, "replaced", "2"),
		s.update(func(tx store.Tx) error { return tx.Delete("a", store.Cells, []byte("deleted")) }),
		s.put("", store.Meta, "identity", "me"),
	)
	failed := s.update(func(tx store.Tx) error {
		return first(putAll(tx, "b", store.Cells, "failed", "1"), errPlanted)
	})
	err = first(err, wantError("Update", failed, errPlanted))
	for range 3 {
		err = first(err, s.reopen(), s.want("a", store.Cells, "replaced", "2"), s.want("", store.Meta, "identity", "me"),
			s.view(func(r store.Reader) error {
				return first(wantKeys(r, "a", store.Cells, store.Range{}, "put", "replaced"), wantSpaces(r, "a"))
			}))
	}
	return err
}
