package pgstore_test

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"github.com/joinery-crdt/joinery/store"
	"github.com/joinery-crdt/joinery/store/pgstore"
)

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
