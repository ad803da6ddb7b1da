package boltstore_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"testing"

	"github.com/joinery-crdt/joinery/store"
	"github.com/joinery-crdt/joinery/store/boltstore"
)

// TestBackupBesideWriters takes backups while an Update adds one record to each
// of two spaces: every backup has as many of the one as of the other.
func TestBackupBesideWriters(t *testing.T) {
	s := open(t, writeSamples(t))
	defer s.Close()
	stop := make(chan struct{})
	var wg sync.WaitGroup
	defer wg.Wait()
	defer close(stop)
	wg.Go(func() { addPairs(t, s, stop) })
	for range 5 {
		if err := checkBackup(t, s); err != nil {
			t.Error(err)
		}
	}
}

// addPairs adds records until it is told to stop.
func addPairs(t *testing.T, s store.Store, stop <-chan struct{}) {
	for i := 0; ; i++ {
		select {
		case <-stop:
			return
		default:
		}
		err := s.Update(t.Context(), func(tx store.Tx) error {
			key := []byte(fmt.Sprint(i))
			return errors.Join(tx.Put("a", store.Log, key, key), tx.Put("b", store.Log, key, key))
		})
		if err != nil {
			t.Error(err)
			return
		}
	}
}

// checkBackup takes a backup and opens it.
func checkBackup(t *testing.T, s *boltstore.Store) error {
	dir := t.TempDir()
	f, err := os.Create(fileIn(dir))
	if err != nil {
		return err
	}
	if err := errors.Join(s.Backup(t.Context(), f), f.Close()); err != nil {
		return err
	}
	b := open(t, dir)
	defer b.Close()
	errPairs := b.View(t.Context(), func(r store.Reader) error {
		n := map[string]int{}
		for _, space := range []string{"a", "b"} {
			for _, err := range r.Scan(space, store.Log, store.Range{}) {
				if err != nil {
					return err
				}
				n[space]++
			}
		}
		if n["a"] != n["b"] {
			return fmt.Errorf("a backup has %d records of a and %d of b", n["a"], n["b"])
		}
		return nil
	})
	errWrite := b.Update(t.Context(), func(tx store.Tx) error { return put(tx, "k") })
	return errors.Join(errPairs, errWrite, b.View(t.Context(), getSamples), b.Check(t.Context()))
}

func TestBackupStops(t *testing.T) {
	s := open(t, writeSamples(t))
	defer s.Close()
	ctx, cancel := context.WithCancel(t.Context())
	w := writerFunc(func(p []byte) (int, error) {
		cancel()
		return len(p), nil
	})
	if err := s.Backup(ctx, w); !errors.Is(err, context.Canceled) {
		t.Errorf("Backup whose context ended = %v, want context.Canceled", err)
	}
	full := errors.New("full")
	w = func([]byte) (int, error) { return 0, full }
	if err := s.Backup(t.Context(), w); !errors.Is(err, full) {
		t.Errorf("Backup to a writer that fails = %v, want its error", err)
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

func TestCheckStops(t *testing.T) {
	s := open(t, writeSamples(t))
	ctx, cancel := context.WithCancel(t.Context())
	if err := s.Check(ctx); err != nil {
		t.Errorf("Check of a sound store = %v", err)
	}
	cancel()
	if err := s.Check(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Check = %v, want context.Canceled", err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if err := s.Check(t.Context()); !errors.Is(err, store.ErrClosed) {
		t.Errorf("Check after Close = %v, want ErrClosed", err)
	}
	if st := s.Stats(); st.FileBytes != 0 {
		t.Errorf("Stats after Close = %+v", st)
	}
}
