package storetest

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync"

	"github.com/joinery-crdt/joinery/store"
)

// transactions: all or nothing, once, one after the other.
var transactions = []named{
	{"UpdateIsAtomicOnError", atomicOnError},
	{"UpdateIsAtomicOnPanic", atomicOnPanic},
	{"UpdateCallsOnce", callsOnce},
	{"ErrorsComeBackAsTheyAre", errorsAsTheyAre},
	{"UpdateWithoutWrites", updateWithoutWrites},
	{"UpdateSpansTablesAndSpaces", updateSpans},
	{"FailingNeighbours", failingNeighbours},
	{"ConcurrentIncrements", concurrentIncrements},
	{"ConcurrentUpdatesAreSerialisable", serialisable},
	{"LargeUpdate", largeUpdate},
}

// errPlanted is what functions given to transactions return on purpose.
var errPlanted = errors.New("storetest: planted error")

// before is a state and scribble a try to spoil it; untouched demands that the
// try left no trace.
func before(s *subject) error {
	return first(s.put("a", store.Cells, "kept", "1", "victim", "1"), s.put("b", store.Log, "kept", "1"))
}

func scribble(tx store.Tx) error {
	return first(
		putAll(tx, "a", store.Cells, "kept", "2", "new", "2"),
		tx.Delete("a", store.Cells, []byte("victim")),
		putAll(tx, "b", store.Log, "kept", "2"),
		putAll(tx, "c", store.Meta, "new", "2"),
	)
}

func untouched(s *subject) error {
	return s.view(func(r store.Reader) error {
		return first(
			wantKeys(r, "a", store.Cells, store.Range{}, "kept", "victim"),
			wantIn(r, "a", store.Cells, "kept", "1"),
			wantIn(r, "b", store.Log, "kept", "1"),
			wantSpaces(r, "a", "b"),
		)
	})
}

func atomicOnError(s *subject) error {
	fail := func() error {
		err := s.update(func(tx store.Tx) error { return first(scribble(tx), errPlanted) })
		return wantError("Update", err, errPlanted)
	}
	return first(before(s), fail(), untouched(s), s.reopen(), untouched(s), fail(), s.put("d", store.Meta, "k", "v"),
		s.update(func(tx store.Tx) error { return tx.Delete("d", store.Meta, []byte("k")) }), untouched(s))
}

func atomicOnPanic(s *subject) error {
	fail := func() error {
		return wantPanic("boom", func() error {
			return s.update(func(tx store.Tx) error {
				if err := scribble(tx); err != nil {
					return err
				}
				panic("boom")
			})
		})
	}
	view := wantPanic("bang", func() error { return s.view(func(store.Reader) error { panic("bang") }) })
	return first(before(s), fail(), untouched(s), view, s.reopen(), untouched(s), fail(), s.put("a", store.Cells, "victim", "1"), untouched(s))
}

// wantPanic demands that fn panics with value.
func wantPanic(value any, fn func() error) (err error) {
	defer func() {
		if got := recover(); got != value {
			err = fmt.Errorf("a function that panics with %v: the caller got the panic %v and the error %v", value, got, err)
		}
	}()
	return fn()
}

func callsOnce(s *subject) error {
	for _, result := range []error{nil, errPlanted} {
		updates, views := 0, 0
		errUpdate := s.update(func(tx store.Tx) error {
			updates++
			return first(putAll(tx, "a", store.Cells, "k", "v"), result)
		})
		errView := s.view(func(store.Reader) error {
			views++
			return result
		})
		if updates != 1 || views != 1 || errUpdate != result || errView != result {
			return fmt.Errorf("functions returning %v: Update called its %d times and returned %v, View %d times and %v", result, updates, errUpdate, views, errView)
		}
	}
	return nil
}

func errorsAsTheyAre(s *subject) error {
	update := s.update(func(store.Tx) error { return errPlanted })
	view := s.view(func(store.Reader) error { return errPlanted })
	if update != errPlanted || view != errPlanted {
		return fmt.Errorf("a function's error became %v from Update and %v from View", update, view)
	}
	return nil
}

func updateWithoutWrites(s *subject) error {
	return first(
		s.put("a", store.Cells, "k", "v"),
		s.update(func(tx store.Tx) error { return wantIn(tx, "a", store.Cells, "k", "v") }),
		s.update(func(store.Tx) error { return nil }),
		s.want("a", store.Cells, "k", "v"),
	)
}

func updateSpans(s *subject) error {
	check := func() error {
		return first(s.want("a", store.Cells, "k", "1"), s.want("a", store.Log, "k", "2"), s.want("b", store.Once, "k", "3"), s.want("", store.Meta, "k", "4"))
	}
	err := s.update(func(tx store.Tx) error {
		return first(
			putAll(tx, "a", store.Cells, "k", "1"), putAll(tx, "a", store.Log, "k", "2"),
			putAll(tx, "b", store.Once, "k", "3"), putAll(tx, "", store.Meta, "k", "4"),
		)
	})
	return first(err, check(), s.reopen(), check())
}

// failingNeighbours runs Updates that succeed, fail and panic side by side:
// those that may share a flush share nothing else.
func failingNeighbours(s *subject) error {
	const writers, rounds = 12, 6
	var wg sync.WaitGroup
	errs := make([]error, writers)
	for w := range writers {
		wg.Go(func() {
			for i := range rounds {
				errs[w] = first(errs[w], neighbour(s, w, i))
			}
		})
	}
	wg.Wait()
	check := func() error { return s.view(func(r store.Reader) error { return wantNeighbours(r, writers, rounds) }) }
	return first(first(errs...), check(), s.reopen(), check())
}

// neighbour is one Update that writes its key and a key it shares with others;
// every third fails and every third panics.
func neighbour(s *subject, w, i int) error {
	write := func(tx store.Tx) error {
		return putAll(tx, "a", store.Cells, fmt.Sprintf("%02d/%d", w, i), "v", "shared", fmt.Sprint(w%3))
	}
	switch w % 3 {
	case 0:
		return s.update(write)
	case 1:
		err := s.update(func(tx store.Tx) error { return first(write(tx), errPlanted) })
		return wantError("Update", err, errPlanted)
	}
	return wantPanic(w, func() error {
		return s.update(func(tx store.Tx) error {
			if err := write(tx); err != nil {
				return err
			}
			panic(w)
		})
	})
}

// wantNeighbours demands the writes of the neighbours that succeeded only.
func wantNeighbours(r store.Reader, writers, rounds int) error {
	var want []string
	for w := 0; w < writers; w += 3 {
		for i := range rounds {
			want = append(want, fmt.Sprintf("%02d/%d", w, i))
		}
	}
	return first(
		wantKeys(r, "a", store.Cells, store.Range{}, append(want, "shared")...),
		wantIn(r, "a", store.Cells, "shared", "0"),
	)
}

// number reads a counter; an absent one is 0.
func number(r store.Reader, key string) (uint64, error) {
	b, err := r.Get("a", store.Cells, []byte(key))
	if errors.Is(err, store.ErrNotFound) {
		return 0, nil
	}
	if err != nil || len(b) != 8 {
		return 0, fmt.Errorf("counter %q holds %x, %v", key, b, err)
	}
	return binary.BigEndian.Uint64(b), nil
}

// setNumber writes a counter.
func setNumber(tx store.Tx, key string, n uint64) error {
	return tx.Put("a", store.Cells, []byte(key), binary.BigEndian.AppendUint64(nil, n))
}

func concurrentIncrements(s *subject) error {
	const writers, rounds = 8, 25
	increment := func(tx store.Tx) error {
		n, err := number(tx, "n")
		return first(err, setNumber(tx, "n", n+1))
	}
	if err := concurrently(writers, rounds, func(int) error { return s.update(increment) }); err != nil {
		return err
	}
	return s.view(func(r store.Reader) error {
		n, err := number(r, "n")
		if err != nil || n != writers*rounds {
			return fmt.Errorf("after %d concurrent increments the counter is %d, %v", writers*rounds, n, err)
		}
		return nil
	})
}

// concurrently runs fn rounds times in each of n goroutines.
func concurrently(n, rounds int, fn func(worker int) error) error {
	var wg sync.WaitGroup
	errs := make([]error, n)
	for w := range n {
		wg.Go(func() {
			for i := 0; i < rounds && errs[w] == nil; i++ {
				errs[w] = fn(w)
			}
		})
	}
	wg.Wait()
	return first(errs...)
}

// serialisable lets pairs of Updates each take a turn that only one may take:
// under mere snapshot isolation both would.
func serialisable(s *subject) error {
	for round := range 20 {
		keys := []string{fmt.Sprintf("x%d", round), fmt.Sprintf("y%d", round)}
		err := concurrently(2, 1, func(w int) error {
			return s.update(func(tx store.Tx) error {
				other, err := number(tx, keys[1-w])
				if err != nil || other == 1 {
					return err
				}
				return setNumber(tx, keys[w], 1)
			})
		})
		if err != nil {
			return err
		}
		err = s.view(func(r store.Reader) error {
			x, errX := number(r, keys[0])
			y, errY := number(r, keys[1])
			if x+y != 1 {
				return fmt.Errorf("two Updates, each writing 1 if the other had not: %d and %d", x, y)
			}
			return first(errX, errY)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func largeUpdate(s *subject) error {
	const n = 5000
	key := func(i int) string { return fmt.Sprintf("%08d", i*7919%n) }
	var want []string
	for i := range n {
		want = append(want, fmt.Sprintf("%08d", i))
	}
	check := func(r store.Reader) error { return wantKeys(r, "a", store.Log, store.Range{}, want...) }
	put := s.update(func(tx store.Tx) error {
		for i := range n {
			if err := putAll(tx, "a", store.Log, key(i), "value"); err != nil {
				return err
			}
		}
		return check(tx)
	})
	err := first(put, s.reopen(), s.view(check))
	if err != nil {
		return err
	}
	del := s.update(func(tx store.Tx) error {
		for i := range n {
			if err := tx.Delete("a", store.Log, []byte(key(i))); err != nil {
				return err
			}
		}
		return wantKeys(tx, "a", store.Log, store.Range{})
	})
	return first(del, s.view(func(r store.Reader) error { return first(wantKeys(r, "a", store.Log, store.Range{}), wantSpaces(r)) }))
}
