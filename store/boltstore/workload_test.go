package boltstore_test

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"os"
	"runtime"
	"testing"

	"github.com/joinery-crdt/joinery/store"
	"github.com/joinery-crdt/joinery/store/boltstore"
	"github.com/joinery-crdt/joinery/store/memstore"
)

// step is the i-th Update of the workload: always the same writes.
func step(tx store.Tx, i int) error {
	rng := rand.New(rand.NewPCG(uint64(i), 7))
	for range 1 + rng.IntN(6) {
		if err := tx.Put(stepSpace(rng, i), store.Table(1+rng.IntN(3)), stepKey(rng), stepValue(rng)); err != nil {
			return err
		}
	}
	for range rng.IntN(4) {
		if err := tx.Delete(stepSpace(rng, i), store.Cells, stepKey(rng)); err != nil {
			return err
		}
	}
	if i%8 == 7 {
		if err := deleteSpace(tx, fmt.Sprint("era ", i/8)); err != nil {
			return err
		}
	}
	return tx.Put("", store.Meta, []byte("newest"), binary.BigEndian.AppendUint32(nil, uint32(i)))
}

// stepSpace returns the name of one of a few spaces; one of them does not last.
func stepSpace(rng *rand.Rand, i int) string {
	return []string{"a", "b", "c", fmt.Sprint("era ", i/8)}[rng.IntN(4)]
}

func stepKey(rng *rand.Rand) []byte { return fmt.Appendf(nil, "key %03d", rng.IntN(200)) }

// stepValue returns a value: mostly a part of a page, sometimes several pages.
func stepValue(rng *rand.Rand) []byte {
	size := 20 + rng.IntN(280)
	switch rng.IntN(40) {
	case 0:
		size = 150_000 + rng.IntN(100_000)
	case 1, 2, 3:
		size = 3000 + rng.IntN(6000)
	}
	value := make([]byte, size)
	binary.BigEndian.PutUint64(value, rng.Uint64())
	for filled := 8; filled < size; filled *= 2 {
		copy(value[filled:], value[:filled])
	}
	return value
}

// deleteSpace deletes what step may have written to a space.
func deleteSpace(tx store.Tx, space string) error {
	for t := store.Table(1); t <= 3; t++ {
		for rec, err := range tx.Scan(space, t, store.Range{}) {
			if err != nil {
				return err
			}
			if err := tx.Delete(space, t, rec.Key); err != nil {
				return err
			}
		}
	}
	return nil
}

// A digest stands for all that a store holds.
type digest [sha256.Size]byte

// digestOf reads everything.
func digestOf(t testing.TB, s store.Store) (d digest, err error) {
	err = s.View(t.Context(), func(r store.Reader) error {
		h := sha256.New()
		for space, err := range andOwn(r.Spaces()) {
			if err != nil {
				return err
			}
			fmt.Fprintf(h, "space %q\n", space)
			for table := store.Cells; table <= store.Meta; table++ {
				for rec, err := range r.Scan(space, table, store.Range{}) {
					if err != nil {
						return err
					}
					fmt.Fprintf(h, "%d %q %d\n", table, rec.Key, len(rec.Value))
					h.Write(rec.Value)
				}
			}
		}
		h.Sum(d[:0])
		return nil
	})
	return d, err
}

// andOwn yields the store's own space after the others.
func andOwn(spaces iter.Seq2[string, error]) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for name, err := range spaces {
			if !yield(name, err) {
				return
			}
		}
		yield("", nil)
	}
}

// states returns what a store holds after each number of steps.
func states(t testing.TB, steps int) []digest {
	t.Helper()
	s := memstore.New()
	defer s.Close()
	all := make([]digest, steps+1)
	for i := range all {
		d, err := digestOf(t, s)
		if err == nil {
			err = s.Update(t.Context(), func(tx store.Tx) error { return step(tx, i) })
		}
		if err != nil {
			t.Fatal(err)
		}
		all[i] = d
	}
	return all
}

// commitSteps runs the steps from first up to end as one group. Its error joins
// those of the Updates.
func commitSteps(t testing.TB, s *boltstore.Store, first, end int) error {
	results := make(chan error, end-first)
	begun, goOn := make(chan struct{}), make(chan struct{})
	update := func(i int) {
		results <- s.Update(t.Context(), func(tx store.Tx) error {
			if i == first {
				close(begun)
				<-goOn
			}
			return step(tx, i)
		})
	}
	go update(first)
	select {
	case <-begun:
	case err := <-results:
		return err
	}
	for i := first + 1; i < end; i++ {
		go update(i)
		for s.Stats().Waiting < i-first {
			runtime.Gosched()
		}
	}
	close(goOn)
	var err error
	for range end - first {
		err = errors.Join(err, <-results)
	}
	return err
}

// ramDir returns a directory that is cheap to flush, if there is one.
func ramDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "boltstore-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// openFull opens a store that uses all of the disk.
func openFull(dir string) (*boltstore.Store, error) {
	return boltstore.Open(dir, boltstore.Options{MinFree: -1})
}
