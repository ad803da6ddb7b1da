package storetest

import (
	"encoding/binary"
	"fmt"
	"runtime"
	"sync/atomic"

	"github.com/joinery-crdt/joinery/store"
)

// isolation: what transactions see of each other.
var isolation = []named{
	{"ViewKeepsItsSnapshot", viewKeepsSnapshot},
	{"ViewSeesNothingUncommitted", noDirtyRead},
	{"ViewSeesTheNewest", viewSeesNewest},
	{"ViewsAreConsistentBesideWriters", consistentViews},
	{"UpdateReadsOneSnapshot", updateReadsOneSnapshot},
}

func viewKeepsSnapshot(s *subject) error {
	if err := first(s.put("a", store.Cells, "k", "old", "l", "old"), s.put("b", store.Cells, "k", "old")); err != nil {
		return err
	}
	old := func(r store.Reader) error {
		return first(
			wantIn(r, "a", store.Cells, "k", "old"),
			wantIn(r, "a", store.Cells, "l", "old"),
			wantAbsentIn(r, "a", store.Cells, "m"),
			wantKeys(r, "a", store.Cells, store.Range{}, "k", "l"),
			wantSpaces(r, "a", "b"),
		)
	}
	err := s.view(func(r store.Reader) error {
		for i := range 3 {
			if err := beside(func() error { return s.rewrite(i) }); err != nil {
				return err
			}
			if err := old(r); err != nil {
				return fmt.Errorf("in a View opened before the Update: %w", err)
			}
		}
		return nil
	})
	return first(err, s.view(func(r store.Reader) error {
		return first(wantKeys(r, "a", store.Cells, store.Range{}, "k", "m"), wantIn(r, "a", store.Cells, "k", "2"), wantSpaces(r, "a", "c"))
	}))
}

// rewrite changes all that viewKeepsSnapshot looks at.
func (s *subject) rewrite(i int) error {
	return s.update(func(tx store.Tx) error {
		return first(
			putAll(tx, "a", store.Cells, "k", fmt.Sprint(i), "m", fmt.Sprint(i)),
			putAll(tx, "c", store.Cells, "k", fmt.Sprint(i)),
			tx.Delete("a", store.Cells, []byte("l")),
			tx.Delete("b", store.Cells, []byte("k")),
		)
	})
}

// beside runs fn on another goroutine and waits for it.
func beside(fn func() error) error {
	result := make(chan error, 1)
	go func() { result <- fn() }()
	return <-result
}

func noDirtyRead(s *subject) error {
	if err := s.put("a", store.Cells, "k", "old", "l", "old"); err != nil {
		return err
	}
	look := func() error {
		return s.view(func(r store.Reader) error {
			return first(
				wantIn(r, "a", store.Cells, "k", "old"),
				wantKeys(r, "a", store.Cells, store.Range{}, "k", "l"),
				wantSpaces(r, "a"),
			)
		})
	}
	err := s.update(func(tx store.Tx) error {
		return first(
			putAll(tx, "a", store.Cells, "k", "new", "m", "new"),
			tx.Delete("a", store.Cells, []byte("l")),
			putAll(tx, "b", store.Cells, "k", "new"),
			beside(look),
			errPlanted,
		)
	})
	return first(wantError("Update", err, errPlanted), look())
}

func viewSeesNewest(s *subject) error {
	for i := range 20 {
		value := fmt.Sprint(i)
		if err := first(s.put("a", store.Cells, "k", value), s.want("a", store.Cells, "k", value)); err != nil {
			return err
		}
	}
	return nil
}

// consistentViews moves an amount between two accounts and notes it in a
// third place while Views add them up.
func consistentViews(s *subject) error {
	const total, views, moves = 1 << 40, 200, 20
	if err := s.update(moveTo(total, 0)); err != nil {
		return err
	}
	var moved atomic.Int64
	stop, done := make(chan struct{}), make(chan error, 1)
	go func() { done <- s.keepMoving(total, &moved, stop) }()
	var err error
	for i := 0; err == nil && len(done) == 0 && (i < views || moved.Load() < moves); i++ {
		err = s.view(func(r store.Reader) error { return wantBalance(r, total) })
	}
	close(stop)
	return first(err, <-done)
}

// keepMoving moves one more each time until it is told to stop.
func (s *subject) keepMoving(total uint64, moved *atomic.Int64, stop <-chan struct{}) error {
	for i := uint64(1); ; i++ {
		select {
		case <-stop:
			return nil
		default:
		}
		if err := s.update(moveTo(total, i)); err != nil {
			return err
		}
		moved.Add(1)
	}
}

// moveTo writes the state after n moves.
func moveTo(total, n uint64) func(store.Tx) error {
	return func(tx store.Tx) error {
		return first(
			setNumber(tx, "from", total-n), setNumber(tx, "to", n),
			tx.Put("b", store.Log, []byte("moves"), binary.BigEndian.AppendUint64(nil, n)),
		)
	}
}

// wantBalance demands that a View finds the whole amount and the note of it.
func wantBalance(r store.Reader, total uint64) error {
	from, errFrom := number(r, "from")
	runtime.Gosched()
	noted := uint64(0)
	for rec, err := range r.Scan("b", store.Log, store.Range{}) {
		if err != nil {
			return err
		}
		noted = binary.BigEndian.Uint64(rec.Value)
	}
	runtime.Gosched()
	to, errTo := number(r, "to")
	if from+to != total || noted != to {
		return fmt.Errorf("a View found %d and %d of %d, and a note of %d", from, to, total, noted)
	}
	return first(errFrom, errTo)
}

// updateReadsOneSnapshot lets another Update try to get between two reads.
func updateReadsOneSnapshot(s *subject) error {
	if err := s.put("a", store.Cells, "k", "old"); err != nil {
		return err
	}
	var other chan error
	err := s.update(func(tx store.Tx) error {
		other = make(chan error, 1)
		begun := make(chan struct{})
		go func() {
			close(begun)
			other <- s.put("a", store.Cells, "k", "new")
		}()
		<-begun
		for range 300 {
			err := beside(func() error { return s.view(func(store.Reader) error { return nil }) })
			if err := first(err, wantIn(tx, "a", store.Cells, "k", "old")); err != nil {
				return err
			}
		}
		return putAll(tx, "a", store.Cells, "seen", "old")
	})
	if other != nil {
		err = first(err, <-other)
	}
	return first(err, s.want("a", store.Cells, "k", "new"), s.want("a", store.Cells, "seen", "old"))
}
