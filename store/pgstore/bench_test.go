package pgstore_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/joinery-crdt/joinery/store"
	"github.com/joinery-crdt/joinery/store/pgstore"
)

// A durable writes one record and returns when it will survive power loss.
type durable func(key, value []byte) error

// BenchmarkDurableWrite compares the store with what it is made of: pgx with a
// loop that gathers writers in the same way into one statement.
func BenchmarkDurableWrite(b *testing.B) {
	backends := []struct {
		name string
		open func(b *testing.B) (durable, func())
	}{{"pgstore", openDurable}, {"pgx", openGathered}}
	for _, writers := range []int{1, 64, 1024} {
		for _, backend := range backends {
			b.Run(fmt.Sprintf("writers=%d/%s", writers, backend.name), func(b *testing.B) {
				write, end := backend.open(b)
				benchWriters(b, writers, write)
				end()
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
	for range 8 { // connections, plans
		if err := write([]byte("warm"), nil); err != nil {
			b.Fatal(err)
		}
	}
	before := server.CPU()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		rng := rand.New(rand.NewPCG(seed.Add(1), rand.Uint64()))
		key, value := make([]byte, 16), make([]byte, 84)
		for pb.Next() {
			binary.BigEndian.PutUint64(key, rng.Uint64())
			if err := write(key, value); err != nil {
				b.Error(err)
				return
			}
		}
	})
	b.StopTimer()
	b.ReportMetric(float64((server.CPU()-before).Microseconds())/float64(b.N), "server-µs/write")
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "writes/s")
}

// openDurable is the store.
func openDurable(b *testing.B) (durable, func()) {
	s := open(b, pgstore.Options{Schema: schema(b)})
	ctx := b.Context()
	return func(key, value []byte) error {
			return s.Update(ctx, func(tx store.Tx) error { return tx.Put("space", store.Cells, key, value) })
		}, func() {
			if err := s.Close(); err != nil {
				b.Error(err)
			}
			stats := s.Stats()
			b.ReportMetric(float64(stats.Updates)/float64(stats.Commits), "writes/commit")
		}
}

// A request is a write that waits for its flush.
type request struct {
	key, value []byte
	done       chan error
}

// openGathered is one connection and a table with an index.
func openGathered(b *testing.B) (durable, func()) {
	ctx := context.Background()
	run(b, "DROP TABLE IF EXISTS raw; CREATE TABLE raw (space bytea, key bytea, value bytea, PRIMARY KEY (space, key))")
	conn, err := pgx.Connect(ctx, server.URL())
	if err != nil {
		b.Fatal(err)
	}
	requests, stopped := make(chan request, 4096), make(chan struct{})
	writes, commits := 0, 0
	go func() {
		defer close(stopped)
		for r := range requests {
			batch := []request{r}
			for n := len(requests); n > 0; n-- {
				batch = append(batch, <-requests)
			}
			err := putRaw(ctx, conn, batch)
			writes, commits = writes+len(batch), commits+1
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
			if err := conn.Close(ctx); err != nil {
				b.Error(err)
			}
			b.ReportMetric(float64(writes)/float64(commits), "writes/commit")
		}
}

// putRaw writes a batch in one round trip.
func putRaw(ctx context.Context, conn *pgx.Conn, batch []request) error {
	var spaces, keys, values [][]byte
	for _, r := range batch {
		spaces, keys, values = append(spaces, []byte("space")), append(keys, r.key), append(values, r.value)
	}
	_, err := conn.Exec(ctx, `INSERT INTO raw SELECT * FROM unnest($1::bytea[], $2::bytea[], $3::bytea[])
		ON CONFLICT (space, key) DO UPDATE SET value = excluded.value`, spaces, keys, values)
	return err
}

// BenchmarkRead reads records of 100 bytes.
func BenchmarkRead(b *testing.B) {
	const n = 20_000
	s := open(b, pgstore.Options{Schema: schema(b)})
	defer s.Close()
	key := func(i uint64) []byte { return binary.BigEndian.AppendUint64(nil, i*0x9E3779B97F4A7C15) }
	err := s.Update(b.Context(), func(tx store.Tx) error {
		for i := range uint64(n) {
			if err := tx.Put("space", store.Cells, key(i), make([]byte, 92)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
	view := func(b *testing.B, fn func(r store.Reader) error) {
		if err := s.View(b.Context(), fn); err != nil {
			b.Fatal(err)
		}
	}
	rng := rand.New(rand.NewPCG(1, 1))
	get := func(r store.Reader) error {
		_, err := r.Get("space", store.Cells, key(rng.Uint64N(n)))
		return err
	}
	b.Run("view+get", func(b *testing.B) {
		for b.Loop() {
			view(b, get)
		}
	})
	b.Run("get", func(b *testing.B) {
		view(b, func(r store.Reader) (err error) {
			for b.Loop() && err == nil {
				err = get(r)
			}
			return err
		})
	})
	b.Run("scan", func(b *testing.B) {
		view(b, func(r store.Reader) error {
			for b.Loop() {
				for _, err := range r.Scan("space", store.Cells, store.Range{}) {
					if err != nil {
						return err
					}
				}
			}
			return nil
		})
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/record")
	})
}
