package boltstore_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/joinery-crdt/joinery/store"
	"github.com/joinery-crdt/joinery/store/boltstore"
	"go.etcd.io/bbolt"
)

// transaction returns the number of the newest bbolt transaction in the file of
// a closed store. Each commit adds one.
func transaction(t *testing.T, dir string) (id int) {
	t.Helper()
	db, err := bbolt.Open(fileIn(dir), 0, &bbolt.Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	err = db.View(func(tx *bbolt.Tx) error {
		id = tx.ID()
		return nil
	})
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	return id
}

// put sets a key to itself.
func put(tx store.Tx, key string) error {
	return tx.Put("a", store.Cells, []byte(key), []byte(key))
}

func TestGroupSharesOneCommit(t *testing.T) {
	const writers = 64
	dir := t.TempDir()
	open(t, dir).Close()
	before := transaction(t, dir)
	synctest.Test(t, func(t *testing.T) {
		s := open(t, dir)
		first, goOn := make(chan struct{}), make(chan struct{})
		var wg sync.WaitGroup
		update := func(key string, wait bool) {
			err := s.Update(t.Context(), func(tx store.Tx) error {
				if wait {
					close(first)
					<-goOn
				}
				return put(tx, key)
			})
			if err != nil {
				t.Error(err)
			}
		}
		wg.Go(func() { update("first", true) })
		<-first
		for i := range writers {
			wg.Go(func() { update(fmt.Sprint(i), false) })
		}
		synctest.Wait()
		if got := s.Stats().Waiting; got != writers {
			t.Errorf("Stats().Waiting = %d, want %d", got, writers)
		}
		close(goOn)
		wg.Wait()
		if got := s.Stats(); got.Updates != writers+1 || got.Commits != 1 {
			t.Errorf("Stats = %+v, want %d updates in 1 commit", got, writers+1)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	if got := transaction(t, dir) - before; got != 1 {
		t.Errorf("%d Updates that waited together took %d commits, want 1", writers+1, got)
	}
}

func TestNoCommitWithoutWrites(t *testing.T) {
	dir := t.TempDir()
	open(t, dir).Close()
	before := transaction(t, dir)
	s := open(t, dir)
	boom := errors.New("boom")
	err := s.Update(t.Context(), func(tx store.Tx) error { return errors.Join(put(tx, "k"), boom) })
	if !errors.Is(err, boom) {
		t.Errorf("Update = %v, want the function's error", err)
	}
	if err := s.Update(t.Context(), func(store.Tx) error { return nil }); err != nil {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if got := transaction(t, dir) - before; got != 0 {
		t.Errorf("Updates without writes took %d commits, want 0", got)
	}
}

func TestGroupIsBounded(t *testing.T) {
	value := make([]byte, 6<<20)
	synctest.Test(t, func(t *testing.T) {
		s := open(t, t.TempDir())
		var wg sync.WaitGroup
		goOn := make(chan struct{})
		for i := range 6 {
			wg.Go(func() {
				err := s.Update(t.Context(), func(tx store.Tx) error {
					<-goOn
					return tx.Put("a", store.Cells, []byte{byte(i)}, value)
				})
				if err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		close(goOn)
		wg.Wait()
		if got := s.Stats().Commits; got != 2 {
			t.Errorf("6 Updates of 6 MiB took %d commits, want 2", got)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
}

func TestFailedCommit(t *testing.T) {
	dir := writeSamples(t)
	synctest.Test(t, func(t *testing.T) {
		s := open(t, dir)
		var wg sync.WaitGroup
		goOn := make(chan struct{})
		errs := make([]error, 8)
		for i := range errs {
			wg.Go(func() {
				errs[i] = s.Update(t.Context(), func(tx store.Tx) error {
					<-goOn
					return put(tx, fmt.Sprint(i))
				})
			})
		}
		synctest.Wait()
		if err := boltstore.BreakFile(s); err != nil {
			t.Fatal(err)
		}
		close(goOn)
		wg.Wait()
		for i, err := range errs {
			if !errors.Is(err, store.ErrUncertain) {
				t.Errorf("member %d of a commit that failed: Update = %v, want ErrUncertain", i, err)
			}
		}
		called := false
		err := s.Update(t.Context(), func(store.Tx) error { called = true; return nil })
		if !errors.Is(err, store.ErrUncertain) || called {
			t.Errorf("Update after a commit that failed = %v, function called: %v; want ErrUncertain, false", err, called)
		}
		if err := s.View(t.Context(), getSamples); err != nil {
			t.Errorf("View of what was durable before: %v", err)
		}
		_ = s.Close() // its file is closed already
	})
	s := open(t, dir)
	defer s.Close()
	if err := s.View(t.Context(), scanSamples); err != nil {
		t.Errorf("after reopening: %v", err)
	}
}

func TestViewAwaitsFlush(t *testing.T) {
	dir := writeSamples(t)
	boom := errors.New("boom")
	for _, outcome := range []error{nil, boom} {
		synctest.Test(t, func(t *testing.T) {
			s := open(t, dir)
			defer s.Close()
			release := boltstore.HoldFlush(s)
			result := make(chan error, 1)
			go func() { result <- s.View(t.Context(), getSamples) }()
			ctx, cancel := context.WithCancel(t.Context())
			impatient := make(chan error, 1)
			go func() { impatient <- s.View(ctx, getSamples) }()
			synctest.Wait()
			if len(result) != 0 {
				t.Errorf("a View of a commit that is not flushed ended with %v", <-result)
			}
			cancel()
			if err := <-impatient; !errors.Is(err, context.Canceled) {
				t.Errorf("View whose context ended = %v, want context.Canceled", err)
			}
			release(outcome)
			if err := <-result; !errors.Is(err, outcome) {
				t.Errorf("View = %v, want %v, the outcome of the flush", err, outcome)
			}
		})
	}
}

// TestTurnMeetsContext ends the context of a waiting Update just before it
// gets its turn: the turn must not be lost.
func TestTurnMeetsContext(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	s := open(t, t.TempDir())
	defer s.Close()
	for range 50 {
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		err := s.Update(t.Context(), func(tx store.Tx) error {
			go func() {
				done <- s.Update(ctx, func(tx store.Tx) error { return put(tx, "late") })
			}()
			for s.Stats().Waiting == 0 {
				runtime.Gosched()
			}
			cancel()
			return put(tx, "k")
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := <-done; err != nil && !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
	}
}

func TestGivingUpLeavesTheQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t, t.TempDir())
		defer s.Close()
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		err := s.Update(t.Context(), func(tx store.Tx) error {
			for range 3 {
				wg.Go(func() {
					err := s.Update(ctx, func(store.Tx) error { return nil })
					if !errors.Is(err, context.Canceled) {
						t.Errorf("Update whose context ended = %v, want context.Canceled", err)
					}
				})
			}
			synctest.Wait()
			wantWaiting(t, s, 3)
			cancel()
			wg.Wait()
			wantWaiting(t, s, 0)
			return put(tx, "k")
		})
		if err != nil {
			t.Error(err)
		}
		wantWaiting(t, s, 0)
	})
}

// wantWaiting demands a length of the queue.
func wantWaiting(t *testing.T, s *boltstore.Store, want int) {
	t.Helper()
	if got := s.Stats().Waiting; got != want {
		t.Errorf("Stats().Waiting = %d, want %d", got, want)
	}
}

func TestTransactionIsOverAfterItsFunction(t *testing.T) {
	s := open(t, writeSamples(t))
	defer s.Close()
	var kept store.Tx
	err := s.Update(t.Context(), func(tx store.Tx) error {
		kept = tx
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := kept.Get("a", store.Cells, []byte("key-0000")); !errors.Is(err, store.ErrClosed) {
		t.Errorf("Get after the transaction = %v, want ErrClosed", err)
	}
	if err := put(kept, "late"); !errors.Is(err, store.ErrClosed) {
		t.Errorf("Put after the transaction = %v, want ErrClosed", err)
	}
}

// TestFailureAwaitsItsGroup lets an Update fail because of what a neighbour
// wrote: its caller must not learn of that before it is durable.
func TestFailureAwaitsItsGroup(t *testing.T) {
	taken := errors.New("taken")
	synctest.Test(t, func(t *testing.T) {
		s := open(t, t.TempDir())
		defer s.Close()
		var wg sync.WaitGroup
		begun, first, last := make(chan struct{}), make(chan struct{}), make(chan struct{})
		update := func(fn func(store.Tx) error, want error) {
			if err := s.Update(t.Context(), fn); !errors.Is(err, want) {
				t.Errorf("Update = %v, want %v", err, want)
			}
		}
		wg.Go(func() {
			update(func(tx store.Tx) error {
				close(begun)
				<-first
				return put(tx, "k")
			}, nil)
		})
		<-begun
		failed := make(chan struct{})
		wg.Go(func() {
			update(func(tx store.Tx) error {
				if _, err := tx.Get("a", store.Cells, []byte("k")); err != nil {
					return err
				}
				return taken
			}, taken)
			close(failed)
		})
		synctest.Wait()
		wg.Go(func() { update(func(store.Tx) error { <-last; return nil }, nil) })
		synctest.Wait()
		close(first)
		synctest.Wait()
		select {
		case <-failed:
			t.Error("an Update that saw its neighbour's write returned before the commit")
		default:
		}
		close(last)
		wg.Wait()
	})
}
