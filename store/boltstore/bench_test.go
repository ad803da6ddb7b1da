package boltstore_test

import (
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"path/filepath"
	"testing"

	"github.com/joinery-crdt/joinery/store"
	"go.etcd.io/bbolt"
)

// openRaw opens a bbolt file with one bucket.
func openRaw(b *testing.B, dir string) *bbolt.DB {
	db, err := bbolt.Open(filepath.Join(dir, "raw.db"), 0o600, &bbolt.Options{FreelistType: bbolt.FreelistMapType, InitialMmapSize: 1 << 30})
	if err != nil {
		b.Fatal(err)
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		_, err := tx.CreateBucket([]byte("space"))
		return err
	})
	if err != nil {
		b.Fatal(err)
	}
	return db
}

// BenchmarkBatch commits 1000 records at a time.
func BenchmarkBatch(b *testing.B) {
	const n = 1000
	rng := rand.New(rand.NewPCG(1, 1))
	key, value := make([]byte, 16), make([]byte, 84)
	next := func() { binary.BigEndian.PutUint64(key, rng.Uint64()) }
	b.Run("boltstore", func(b *testing.B) {
		s := open(b, b.TempDir())
		defer s.Close()
		for b.Loop() {
			err := s.Update(b.Context(), func(tx store.Tx) error {
				for range n {
					next()
					if err := tx.Put("space", store.Cells, key, value); err != nil {
						return err
					}
				}
				return nil
			})
			if err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(n*float64(b.N)/b.Elapsed().Seconds(), "records/s")
	})
	b.Run("bbolt", func(b *testing.B) {
		db := openRaw(b, b.TempDir())
		defer db.Close()
		for b.Loop() {
			err := db.Update(func(tx *bbolt.Tx) error {
				bucket := tx.Bucket([]byte("space"))
				for range n {
					next()
					if err := bucket.Put(key, append([]byte(nil), value...)); err != nil {
						return err
					}
				}
				return nil
			})
			if err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(n*float64(b.N)/b.Elapsed().Seconds(), "records/s")
	})
}

// benchRecords is the number of records that are read.
const benchRecords = 100_000

// fillBench writes records of 100 bytes under the numbers from 0.
func fillBench(b *testing.B, s store.Store) {
	err := s.Update(b.Context(), func(tx store.Tx) error {
		for i := range uint64(benchRecords) {
			if err := tx.Put("space", store.Cells, benchKey(i), make([]byte, 84)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
}

// benchKey spreads numbers over the keys.
func benchKey(i uint64) []byte {
	k := binary.BigEndian.AppendUint64(nil, i*0x9E3779B97F4A7C15)
	return binary.BigEndian.AppendUint64(k, i)
}

func BenchmarkRead(b *testing.B) {
	s := open(b, b.TempDir())
	defer s.Close()
	fillBench(b, s)
	rng := rand.New(rand.NewPCG(1, 1))
	get := func(r store.Reader, i uint64, want error) {
		if _, err := r.Get("space", store.Cells, benchKey(i)); !errors.Is(err, want) {
			b.Fatalf("Get %d = %v, want %v", i, err, want)
		}
	}
	inView := func(b *testing.B, fn func(r store.Reader)) {
		err := s.View(b.Context(), func(r store.Reader) error {
			fn(r)
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	b.Run("view+get", func(b *testing.B) {
		for b.Loop() {
			inView(b, func(r store.Reader) { get(r, rng.Uint64N(benchRecords), nil) })
		}
	})
	b.Run("get", func(b *testing.B) {
		inView(b, func(r store.Reader) {
			for b.Loop() {
				get(r, rng.Uint64N(benchRecords), nil)
			}
		})
	})
	b.Run("get absent", func(b *testing.B) {
		inView(b, func(r store.Reader) {
			for b.Loop() {
				get(r, benchRecords+rng.Uint64N(benchRecords), store.ErrNotFound)
			}
		})
	})
	b.Run("scan", func(b *testing.B) {
		inView(b, func(r store.Reader) {
			for b.Loop() {
				for _, err := range r.Scan("space", store.Cells, store.Range{}) {
					if err != nil {
						b.Fatal(err)
					}
				}
			}
		})
		reportRecord(b)
	})
}

// reportRecord reports the time for each of benchRecords.
func reportRecord(b *testing.B) {
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/benchRecords, "ns/record")
}

// BenchmarkReadRaw is BenchmarkRead on bbolt, without checksums.
func BenchmarkReadRaw(b *testing.B) {
	db := openRaw(b, b.TempDir())
	defer db.Close()
	err := db.Update(func(tx *bbolt.Tx) error {
		for i := range uint64(benchRecords) {
			if err := tx.Bucket([]byte("space")).Put(benchKey(i), make([]byte, 84)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
	tx, err := db.Begin(false)
	if err != nil {
		b.Fatal(err)
	}
	defer tx.Rollback() //nolint:errcheck // a read transaction
	bucket := tx.Bucket([]byte("space"))
	rng := rand.New(rand.NewPCG(1, 1))
	b.Run("get", func(b *testing.B) {
		for b.Loop() {
			bucket.Get(benchKey(rng.Uint64N(benchRecords)))
		}
	})
	b.Run("scan", func(b *testing.B) {
		for b.Loop() {
			c := bucket.Cursor()
			for k, _ := c.First(); k != nil; k, _ = c.Next() {
			}
		}
		reportRecord(b)
	})
}

func BenchmarkOpen(b *testing.B) {
	dir := b.TempDir()
	s := open(b, dir)
	fillBench(b, s)
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if err := open(b, dir).Close(); err != nil {
			b.Fatal(err)
		}
	}
}
