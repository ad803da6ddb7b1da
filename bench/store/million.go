package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"time"

	"github.com/joinery-crdt/joinery/store"
	"github.com/joinery-crdt/joinery/store/boltstore"
	"github.com/joinery-crdt/joinery/store/pgstore"
)

// together is how many cells or changes share a transaction here.
const together = 10_000

// million measures what a store with many cells costs.
func million() {
	fmt.Printf("\n%d cells of 16 + 84 bytes, then changes of 400 bytes: a record of the log, two cells, two places of bookkeeping\n", *cells)
	fmt.Printf("%-12s %12s %14s %16s %18s\n", "", "open", "memory of it", "on disk, a cell", "on disk, a change")
	dir, remove := tempDir()
	defer remove()
	millionIn("boltstore", func() (store.Store, error) { return boltstore.Open(dir, boltstore.Options{}) }, func(s store.Store) int64 {
		st := s.(*boltstore.Store).Stats()
		return st.FileBytes - st.FreeBytes
	})
	if server == nil {
		return
	}
	check(runSQL("DROP SCHEMA IF EXISTS joinery CASCADE"))
	millionIn("pgstore", func() (store.Store, error) {
		return pgstore.Open(context.Background(), server.URL(), pgstore.Options{})
	}, func(store.Store) int64 {
		n, err := querySQL("SELECT sum(pg_total_relation_size(c.oid)) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = 'joinery' AND c.relkind = 'r'")
		check(err)
		return n
	})
}

// millionIn measures one backend. used returns the bytes that its records take
// on the disk.
func millionIn(name string, open func() (store.Store, error), used func(store.Store) int64) {
	s, err := open()
	check(err)
	empty := used(s)
	check(fill(s, *cells))
	filled := used(s)
	check(writeChanges(s, *cells/10))
	changed := used(s)
	check(s.Close())
	before := liveHeap()
	s, err = open()
	check(err)
	heap := liveHeap() - before
	check(s.Close())
	fmt.Printf("%-12s %9.2f ms %11.1f kB %14.1f B %16.1f B\n", name, openTime(open).Seconds()*1e3, float64(heap)/1e3,
		float64(filled-empty)/float64(*cells), float64(changed-filled)/float64(*cells/10))
}

// openTime returns the median time of an Open.
func openTime(open func() (store.Store, error)) time.Duration {
	var took []time.Duration
	for range 9 {
		begin := time.Now()
		s, err := open()
		check(err)
		took = append(took, time.Since(begin))
		check(s.Close())
	}
	slices.Sort(took)
	return took[len(took)/2]
}

// fill writes so many cells under keys in random order.
func fill(s store.Store, n int) error {
	return eachGroup(s, n, func(tx store.Tx, i uint64) error {
		return tx.Put("space", store.Cells, cellKey(i), make([]byte, 84))
	})
}

// writeChanges writes what changes write.
func writeChanges(s store.Store, n int) error {
	return eachGroup(s, n, func(tx store.Tx, i uint64) error {
		for _, w := range []struct {
			table store.Table
			key   []byte
			size  int
		}{
			{store.Log, binary.BigEndian.AppendUint64(make([]byte, 16), i), 150},
			{store.Cells, cellKey(uint64(*cells) + i), 60},
			{store.Cells, cellKey(i), 60},
			{store.Vector, make([]byte, 16), 24},
			{store.Meta, []byte("summary"), 60},
		} {
			if err := tx.Put("space", w.table, w.key, make([]byte, w.size)); err != nil {
				return err
			}
		}
		return nil
	})
}

// eachGroup calls fn for the numbers below n, some of them in a transaction.
func eachGroup(s store.Store, n int, fn func(tx store.Tx, i uint64) error) error {
	for first := 0; first < n; first += together {
		err := s.Update(context.Background(), func(tx store.Tx) error {
			for i := first; i < min(first+together, n); i++ {
				if err := fn(tx, uint64(i)); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// cellKey spreads numbers over the keys.
func cellKey(i uint64) []byte {
	k := binary.BigEndian.AppendUint64(nil, i*0x9E3779B97F4A7C15)
	return binary.BigEndian.AppendUint64(k, i)
}

// liveHeap returns the bytes of the heap that are in use.
func liveHeap() int64 {
	for range 3 { // pools are emptied late
		runtime.GC()
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// fileSize returns the bytes of the files in a directory.
func fileSize(dir string) (n int64) {
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	check(err)
	for _, f := range files {
		info, err := os.Stat(f)
		check(err)
		n += info.Size()
	}
	return n
}
