package storetest_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"testing"

	"github.com/joinery-crdt/joinery/store"
	"github.com/joinery-crdt/joinery/store/memstore"
)

// writeDefects break Put, Delete, Update and the isolation of transactions.
func writeDefects() []defect {
	return []defect{
		{"delete does nothing", "GetPutDelete", with(wrapped{delete: deleteNothing})},
		{"key ends at NUL", "OddKeys", with(wrapped{put: putCString})},
		{"tables mixed", "TablesAreApart", with(wrapped{put: putCells})},
		{"values cut at 1 MiB", "LargeValues", with(wrapped{put: putCut})},
		{"value retained", "ArgumentsAreNotRetained", openRetaining},
		{"long names refused", "LongestNamesAreAccepted", with(wrapped{put: putShort})},
		{"limits ignored", "BeyondTheLimits", with(wrapped{put: putLenient})},
		{"value limit ignored", "ValueBeyondTheLimit", with(wrapped{put: putLenient})},
		{"torn on error", "UpdateIsAtomicOnError", with(wrapped{update: updateTorn})},
		{"torn on panic", "UpdateIsAtomicOnPanic", with(wrapped{update: updateTornByPanic})},
		{"panic swallowed", "UpdateIsAtomicOnPanic", with(wrapped{update: updateSwallowing})},
		{"retries", "UpdateCallsOnce", with(wrapped{update: updateRetrying})},
		{"errors wrapped", "ErrorsComeBackAsTheyAre", with(wrapped{update: updateWrapping})},
		{"no writes is an error", "UpdateWithoutWrites", openDemandingWrites},
		{"one table an update", "UpdateSpansTablesAndSpaces", openOneTable},
		{"failure takes its neighbour", "FailingNeighbours", openUndoing},
		{"lost update", "ConcurrentIncrements", openLosing},
		{"write skew", "ConcurrentUpdatesAreSerialisable", openLosing},
		{"writes beyond 1000 dropped", "LargeUpdate", openDropping},
		{"dirty read", "ViewSeesNothingUncommitted", openDirty},
		{"stale view", "ViewSeesTheNewest", openStale},
		{"update reads the newest", "UpdateReadsOneSnapshot", openUnlocked},
	}
}

func deleteNothing(store.Tx, string, store.Table, []byte) error { return nil }

func putCString(tx store.Tx, space string, t store.Table, key, value []byte) error {
	key, _, _ = bytes.Cut(key, []byte{0})
	return tx.Put(space, t, key, value)
}

func putCells(tx store.Tx, space string, _ store.Table, key, value []byte) error {
	return tx.Put(space, store.Cells, key, value)
}

func putCut(tx store.Tx, space string, t store.Table, key, value []byte) error {
	return tx.Put(space, t, key, value[:min(1<<20, len(value))])
}

func putShort(tx store.Tx, space string, t store.Table, key, value []byte) error {
	if len(space) > 100 {
		return &store.LimitError{What: "space", Size: len(space), Limit: 100}
	}
	return tx.Put(space, t, key, value)
}

func putLenient(tx store.Tx, space string, t store.Table, key, value []byte) error {
	err := tx.Put(space, t, key, value)
	if _, ok := errors.AsType[*store.LimitError](err); ok {
		return nil
	}
	return err
}

// openRetaining serves the slices that Put was given.
func openRetaining(t *testing.T, d *memstore.Disk) store.Store {
	kept := map[string][]byte{}
	return with(wrapped{
		put: func(tx store.Tx, space string, t store.Table, key, value []byte) error {
			kept[string(key)] = value
			return tx.Put(space, t, key, value)
		},
		get: func(r store.Reader, space string, t store.Table, key []byte) ([]byte, error) {
			v, err := r.Get(space, t, key)
			if k, ok := kept[string(key)]; ok && err == nil {
				return k, nil
			}
			return v, err
		},
	})(t, d)
}

func updateTorn(ctx context.Context, s store.Store, fn func(store.Tx) error) error {
	var result error
	err := s.Update(ctx, func(tx store.Tx) error {
		result = fn(tx)
		return nil
	})
	return errors.Join(err, result)
}

func updateTornByPanic(ctx context.Context, s store.Store, fn func(store.Tx) error) error {
	var panicked any
	err := s.Update(ctx, func(tx store.Tx) error {
		defer func() { panicked = recover() }()
		return fn(tx)
	})
	if panicked != nil {
		panic(panicked)
	}
	return err
}

func updateSwallowing(ctx context.Context, s store.Store, fn func(store.Tx) error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	return s.Update(ctx, fn)
}

func updateRetrying(ctx context.Context, s store.Store, fn func(store.Tx) error) error {
	err := s.Update(ctx, fn)
	if err != nil && ctx.Err() == nil && !errors.Is(err, store.ErrClosed) {
		err = s.Update(ctx, fn)
	}
	return err
}

func updateWrapping(ctx context.Context, s store.Store, fn func(store.Tx) error) error {
	if err := s.Update(ctx, fn); err != nil {
		return fmt.Errorf("store: update: %w", err)
	}
	return nil
}

// counting wraps a store so that after sees each Update's number of Puts and
// may fail it.
func counting(t *testing.T, d *memstore.Disk, put func(n int, t store.Table) bool, after func(n int) error) store.Store {
	n := 0
	return with(wrapped{
		put: func(tx store.Tx, space string, t store.Table, key, value []byte) error {
			if n++; !put(n, t) {
				return nil
			}
			return tx.Put(space, t, key, value)
		},
		update: func(ctx context.Context, s store.Store, fn func(store.Tx) error) error {
			return s.Update(ctx, func(tx store.Tx) error {
				n = 0
				if err := fn(tx); err != nil {
					return err
				}
				return after(n)
			})
		},
	})(t, d)
}

func openDemandingWrites(t *testing.T, d *memstore.Disk) store.Store {
	return counting(t, d, func(int, store.Table) bool { return true }, func(n int) error {
		if n == 0 {
			return errors.New("nothing to commit")
		}
		return nil
	})
}

func openDropping(t *testing.T, d *memstore.Disk) store.Store {
	return counting(t, d, func(n int, _ store.Table) bool { return n <= 1000 }, func(int) error { return nil })
}

func openOneTable(t *testing.T, d *memstore.Disk) store.Store {
	var only store.Table
	return counting(t, d, func(n int, t store.Table) bool {
		if n == 1 {
			only = t
		}
		return t == only
	}, func(int) error { return nil })
}

// cloned is a store that keeps copies of its disk.
type cloned struct {
	store.Store
	mu   sync.Mutex
	disk *memstore.Disk
	old  *memstore.Disk // as it was before the last Update
	t    *testing.T
}

// openUndoing takes back the Update before one that fails.
func openUndoing(t *testing.T, d *memstore.Disk) store.Store {
	c := &cloned{Store: open(t, d), disk: d, t: t}
	return &wrapped{Store: c.Store, update: func(ctx context.Context, s store.Store, fn func(store.Tx) error) error {
		c.mu.Lock()
		defer c.mu.Unlock()
		committed := false
		defer func() {
			if !committed && c.old != nil {
				c.restore(ctx, s)
			}
		}()
		was := d.Clone()
		if err := s.Update(ctx, fn); err != nil {
			return err
		}
		c.old, committed = was, true
		return nil
	}}
}

// restore makes the store hold the single space a as it was.
func (c *cloned) restore(ctx context.Context, s store.Store) {
	old := open(c.t, c.old.Clone())
	defer old.Close()
	_ = s.Update(ctx, func(tx store.Tx) error {
		now, _ := records(tx.Scan("a", store.Cells, store.Range{}))
		for _, rec := range now {
			_ = tx.Delete("a", store.Cells, rec.Key)
		}
		return old.View(ctx, func(r store.Reader) error {
			was, err := records(r.Scan("a", store.Cells, store.Range{}))
			for _, rec := range was {
				_ = tx.Put("a", store.Cells, rec.Key, rec.Value)
			}
			return err
		})
	})
}

// openLosing runs Updates side by side on copies and then applies their
// writes without looking for conflicts.
func openLosing(t *testing.T, d *memstore.Disk) store.Store {
	return &wrapped{Store: open(t, d), update: func(ctx context.Context, s store.Store, fn func(store.Tx) error) error {
		mine := open(t, d.Clone())
		defer mine.Close()
		var log recorder
		err := mine.Update(ctx, func(tx store.Tx) error {
			log.Tx = tx
			return fn(&log)
		})
		if err != nil {
			return err
		}
		for range 100 {
			runtime.Gosched()
		}
		return s.Update(ctx, log.apply)
	}}
}

// recorder remembers the writes of a transaction.
type recorder struct {
	store.Tx
	ops []func(store.Tx) error
}

func (r *recorder) Put(space string, t store.Table, key, value []byte) error {
	key, value = bytes.Clone(key), bytes.Clone(value)
	r.ops = append(r.ops, func(tx store.Tx) error { return tx.Put(space, t, key, value) })
	return r.Tx.Put(space, t, key, value)
}

func (r *recorder) Delete(space string, t store.Table, key []byte) error {
	key = bytes.Clone(key)
	r.ops = append(r.ops, func(tx store.Tx) error { return tx.Delete(space, t, key) })
	return r.Tx.Delete(space, t, key)
}

// apply repeats the writes.
func (r *recorder) apply(tx store.Tx) error {
	for _, op := range r.ops {
		if err := op(tx); err != nil {
			return err
		}
	}
	return nil
}

// openDirty shows Views each Put at once.
func openDirty(t *testing.T, d *memstore.Disk) store.Store {
	var mu sync.Mutex
	var pending []byte // newest value of key k in space a, nil if there is none
	return with(wrapped{
		put: func(tx store.Tx, space string, t store.Table, key, value []byte) error {
			if space == "a" && string(key) == "k" {
				mu.Lock()
				pending = bytes.Clone(value)
				mu.Unlock()
			}
			return tx.Put(space, t, key, value)
		},
		get: func(r store.Reader, space string, t store.Table, key []byte) ([]byte, error) {
			v, err := r.Get(space, t, key)
			mu.Lock()
			defer mu.Unlock()
			if pending != nil && err == nil && space == "a" && string(key) == "k" {
				return pending, nil
			}
			return v, err
		},
	})(t, d)
}

// openStale gives Views the state before the last Update.
func openStale(t *testing.T, d *memstore.Disk) store.Store {
	old := d.Clone()
	return &wrapped{
		Store: open(t, d),
		update: func(ctx context.Context, s store.Store, fn func(store.Tx) error) error {
			old = d.Clone()
			return s.Update(ctx, fn)
		},
		view: func(ctx context.Context, _ store.Store, fn func(store.Reader) error) error {
			s := open(t, old.Clone())
			defer s.Close()
			return s.View(ctx, fn)
		},
	}
}

// openUnlocked applies an Update's writes at its end and reads the newest
// state until then.
func openUnlocked(t *testing.T, d *memstore.Disk) store.Store {
	return &wrapped{Store: open(t, d), update: func(ctx context.Context, s store.Store, fn func(store.Tx) error) error {
		var log recorder
		log.Tx = blind{newest{ctx, s}, nowhere{}}
		if err := s.View(ctx, func(store.Reader) error { return nil }); err != nil {
			return err
		}
		if err := fn(&log); err != nil {
			return err
		}
		return s.Update(ctx, log.apply)
	}}
}

// nowhere takes writes and forgets them.
type nowhere struct{ store.Tx }

func (nowhere) Put(string, store.Table, []byte, []byte) error { return nil }
func (nowhere) Delete(string, store.Table, []byte) error      { return nil }
