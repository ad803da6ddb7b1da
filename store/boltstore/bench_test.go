package boltstore_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"sync/atomic"
	"testing"

	"github.com/joinery-crdt/joinery/store"
	"go.etcd.io/bbolt"
)

// A durable writes one record and returns when it will survive power loss.
type durable func(key, value []byte) error

// BenchmarkDurableWrite compares the store with what it is made of: bbolt with
// a loop that gathers writers in the same way, and a file that is appended to
// and flushed in the same way.
func BenchmarkDurableWrite(b *testing.B) {
	backends := []struct {
		name string
		open func(b *testing.B) (durable, func() error)
	}{{"boltstore", openDurable}, {"bbolt", openGathered}, {"append", openAppend}}
	for _, writers := range []int{1, 64, 1024} {
		for _, backend := range backends {
			b.Run(fmt.Sprintf("writers=%d/%s", writers, backend.name), func(b *testing.B) {
				write, closeAll := backend.open(b)
				benchWriters(b, writers, write)
				if err := closeAll(); err != nil {
					b.Fatal(err)
				}
			})
		}
	}
}

// benchWriters writes records of 100 bytes under random keys.
func benchWriters(b *testing.B, writers int, write durable) {
	var seed atomic.Uint64
	b.SetParallelism(max(1, writers/runtime.GOMAXPROCS(0)))
	if writers == 1 {
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	}
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		rng := rand.New(rand.NewPCG(seed.Add(1), 0))
		key, value := make([]byte, 16), make([]byte, 84)
		for pb.Next() {
			binary.BigEndian.PutUint64(key, rng.Uint64())
			if err := write(key, value); err != nil {
				b.Error(err)
				return
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "writes/s")
}

// openDurable is the store.
func openDurable(b *testing.B) (durable, func() error) {
	s := open(b, b.TempDir())
	ctx := b.Context()
	return func(key, value []byte) error {
		return s.Update(ctx, func(tx store.Tx) error { return tx.Put("space", store.Cells, key, value) })
	}, s.Close
}

// A request is a write that waits for its flush.
type request struct {
	key, value []byte
	done       chan error
}

// gather runs flush with all requests that have come while the last one ran.
func gather(flush func([]request) error) (durable, func()) {
	requests := make(chan request, 4096)
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		for r := range requests {
			batch := []request{r}
			for n := len(requests); n > 0; n-- {
				batch = append(batch, <-requests)
			}
			err := flush(batch)
			for _, r := range batch {
				r.done <- err
			}
		}
	}()
	return func(key, value []byte) error {
			r := request{key, value, make(chan error, 1)}
			requests <- r
			return <-r.done
		}, func() {
			close(requests)
			<-stopped
		}
}

// openGathered is bbolt.
func openGathered(b *testing.B) (durable, func() error) {
	db := openRaw(b, b.TempDir())
	write, stop := gather(func(batch []request) error {
		return db.Update(func(tx *bbolt.Tx) error {
			bucket := tx.Bucket([]byte("space"))
			for _, r := range batch {
				if err := bucket.Put(r.key, append([]byte(nil), r.value...)); err != nil {
					return err
				}
			}
			return nil
		})
	})
	return write, func() error {
		stop()
		return db.Close()
	}
}

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

// openAppend is a file that grows.
func openAppend(b *testing.B) (durable, func() error) {
	f, err := os.Create(filepath.Join(b.TempDir(), "log"))
	if err != nil {
		b.Fatal(err)
	}
	var buf []byte
	write, stop := gather(func(batch []request) error {
		buf = buf[:0]
		for _, r := range batch {
			buf = append(append(buf, r.key...), r.value...)
		}
		_, err := f.Write(buf)
		return errors.Join(err, f.Sync())
	})
	return write, func() error {
		stop()
		return f.Close()
	}
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
