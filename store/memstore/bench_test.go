package memstore_test

import (
	"encoding/binary"
	"fmt"
	"runtime"
	"testing"

	"github.com/joinery-crdt/joinery/store"
	"github.com/joinery-crdt/joinery/store/memstore"
)

// key returns one of many keys, near and far from each other in turn.
func key(i uint64) []byte {
	return binary.BigEndian.AppendUint64(make([]byte, 0, 16), i%7*1e9+i)
}

// change writes what applying one change writes: a log record, two cells and
// two places of bookkeeping.
func change(tx store.Tx, i uint64, value []byte) error {
	for _, w := range []struct {
		t store.Table
		k []byte
	}{{store.Log, key(i)}, {store.Cells, key(i)}, {store.Cells, key(i / 2)}, {store.Vector, key(i % 3)}, {store.Meta, []byte("clock")}} {
		if err := tx.Put("space", w.t, w.k, value); err != nil {
			return err
		}
	}
	return nil
}

// BenchmarkChange applies changes one by one, alone and with a View between
// each two that stays open until the next.
func BenchmarkChange(b *testing.B) {
	value := make([]byte, 100)
	b.Run("alone", func(b *testing.B) {
		s, i := memstore.New(), uint64(0)
		for b.Loop() {
			i++
			if err := s.Update(b.Context(), func(tx store.Tx) error { return change(tx, i, value) }); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("beside a view", func(b *testing.B) {
		s, i := memstore.New(), uint64(0)
		for b.Loop() {
			i++
			err := s.View(b.Context(), func(store.Reader) error {
				return s.Update(b.Context(), func(tx store.Tx) error { return change(tx, i, value) })
			})
			if err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkMemory reports what a record of 16 + 100 bytes takes.
func BenchmarkMemory(b *testing.B) {
	const n = 100_000
	value := make([]byte, 100)
	for b.Loop() {
		before := heap()
		s := memstore.New()
		for i := range uint64(n) {
			if err := s.Update(b.Context(), func(tx store.Tx) error { return tx.Put("space", store.Log, key(i), value) }); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(heap()-before)/n, "B/record")
		runtime.KeepAlive(s)
	}
}

// heap returns the live bytes of the heap.
func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func BenchmarkRead(b *testing.B) {
	const n = 100_000
	s := memstore.New()
	err := s.Update(b.Context(), func(tx store.Tx) error {
		for i := range uint64(n) {
			if err := tx.Put("space", store.Log, key(i), make([]byte, 100)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
	b.Run("view+get", func(b *testing.B) {
		i := uint64(0)
		for b.Loop() {
			i++
			err := s.View(b.Context(), func(r store.Reader) error {
				_, err := r.Get("space", store.Log, key(i%n))
				return err
			})
			if err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("scan", func(b *testing.B) {
		for b.Loop() {
			err := s.View(b.Context(), func(r store.Reader) error {
				got := 0
				for range r.Scan("space", store.Log, store.Range{}) {
					got++
				}
				if got != n {
					return fmt.Errorf("Scan yields %d records", got)
				}
				return nil
			})
			if err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/record")
	})
}
