package boltstore_test

import (
	"encoding/binary"
	"testing"

	"github.com/joinery-crdt/joinery/store"
	"github.com/joinery-crdt/joinery/store/boltstore"
)

// BenchmarkDiskBytes writes changes one by one, as a node does: a record of the
// log, two cells, and two places of bookkeeping, 400 bytes. It reports what a
// change writes to the disk and what it leaves there, alone and 64 in a commit.
func BenchmarkDiskBytes(b *testing.B) {
	for name, together := range map[string]int{"alone": 1, "64 together": 64} {
		b.Run(name, func(b *testing.B) { benchDiskBytes(b, together) })
	}
}

func benchDiskBytes(b *testing.B, together int) {
	s := open(b, b.TempDir())
	defer s.Close()
	fillBench(b, s)
	written := 0
	boltstore.HookWrites(s, func(write boltstore.WriteFunc) boltstore.WriteFunc {
		return func(p []byte, offset int64) (int, error) {
			written += len(p)
			return write(p, offset)
		}
	})
	before, i := s.Stats(), uint64(0)
	for b.Loop() {
		err := s.Update(b.Context(), func(tx store.Tx) error {
			for range together {
				i++
				if err := writeChange(tx, i); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	after, changes := s.Stats(), float64(i)
	b.ReportMetric(float64(written)/changes, "written-B/change")
	b.ReportMetric(float64(after.FileBytes-after.FreeBytes-before.FileBytes+before.FreeBytes)/changes, "left-B/change")
}

// writeChange writes what one change writes.
func writeChange(tx store.Tx, i uint64) error {
	for _, w := range []struct {
		table store.Table
		key   []byte
		size  int
	}{
		{store.Log, binary.BigEndian.AppendUint64(make([]byte, 16), i), 150},
		{store.Cells, benchKey(benchRecords + i), 60},
		{store.Cells, benchKey(i % benchRecords), 60},
		{store.Vector, make([]byte, 16), 24},
		{store.Meta, []byte("summary"), 60},
	} {
		if err := tx.Put("space", w.table, w.key, make([]byte, w.size)); err != nil {
			return err
		}
	}
	return nil
}
