package node_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"

	"github.com/joinery-crdt/joinery/store"
	"github.com/joinery-crdt/joinery/store/boltstore"
	"github.com/joinery-crdt/joinery/store/memstore"
	"github.com/joinery-crdt/joinery/sync/node"
	"github.com/joinery-crdt/joinery/sync/wire"
)

// backends are the stores that a benchmark runs over.
var backends = []struct {
	name string
	open func(b *testing.B) store.Store
}{
	{"memstore", func(*testing.B) store.Store { return memstore.New() }},
	{"boltstore", func(b *testing.B) store.Store {
		s, err := boltstore.Open(b.TempDir(), boltstore.Options{})
		if err != nil {
			b.Fatal(err)
		}
		return s
	}},
}

func openBench(b *testing.B, s store.Store) *node.Node {
	b.Helper()
	n, err := node.Open(b.Context(), node.Config{Store: s})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { n.Close() })
	return n
}

// BenchmarkUpdate measures durable transactions that add one element to a set.
func BenchmarkUpdate(b *testing.B) {
	for _, backend := range backends {
		for _, writers := range []int{1, 64, 1024} {
			b.Run(fmt.Sprintf("store=%s/writers=%d", backend.name, writers), func(b *testing.B) {
				notes := openBench(b, backend.open(b)).Space("notes")
				b.SetParallelism(max(1, writers/runtime.GOMAXPROCS(0)))
				if writers == 1 {
					defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
				}
				var next atomic.Int64
				b.ReportAllocs()
				b.ResetTimer()
				b.RunParallel(func(pb *testing.PB) {
					for pb.Next() {
						err := notes.Update(context.Background(), func(tx *node.Tx) error {
							return ids.Add(tx, int(next.Add(1)))
						})
						if err != nil {
							b.Error(err)
							return
						}
					}
				})
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "changes/s")
			})
		}
	}
}

// BenchmarkHas measures looking one element up, in a snapshot of its own and in
// one that many look-ups share.
func BenchmarkHas(b *testing.B) {
	const elements = 100_000
	for _, backend := range backends {
		notes := openBench(b, backend.open(b)).Space("notes")
		for i := 0; i < elements; i += 1000 {
			mustUpdate(b, notes, func(tx *node.Tx) error {
				for j := range 1000 {
					if err := ids.Add(tx, i+j); err != nil {
						return err
					}
				}
				return nil
			})
		}
		i := 0
		has := func(v *node.View) error {
			i++
			found, err := ids.Has(v, i%elements)
			if err == nil && !found {
				err = errors.New("an element is missing")
			}
			return err
		}
		b.Run("store="+backend.name+"/view=each", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := notes.View(b.Context(), has); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run("store="+backend.name+"/view=shared", func(b *testing.B) {
			b.ReportAllocs()
			err := notes.View(b.Context(), func(v *node.View) error {
				for b.Loop() {
					if err := has(v); err != nil {
						return err
					}
				}
				return nil
			})
			if err != nil {
				b.Fatal(err)
			}
		})
	}
}

// cellOps is how many cells each change of BenchmarkApply writes.
const cellOps = 28

// remoteChanges returns a drop file of changes that each write some cells of
// every type, the way an editor of a tree of files would.
func remoteChanges(b *testing.B, changes int) []byte {
	b.Helper()
	from := openBench(b, memstore.New()).Space("notes")
	for i := range changes {
		mustUpdate(b, from, func(tx *node.Tx) error {
			for j := range cellOps / 7 {
				path := fmt.Sprintf("src/part%d/file%d.go", i*31%97, i*17%1009+j)
				err := errors.Join(
					paths.Add(tx, path), tags.Add(tx, path), vetoes.Add(tx, path), once.Add(tx, path),
					likes.Add(tx, 1), node.LWW[string](path).Set(tx, path), node.MVRegister[int](path).Set(tx, i),
				)
				if err != nil {
					return err
				}
			}
			return nil
		})
	}
	var file bytes.Buffer
	if _, err := from.Export(b.Context(), &file, node.Cut{}); err != nil {
		b.Fatal(err)
	}
	return file.Bytes()
}

// BenchmarkApply measures taking the changes of a peer, by way of a drop file.
func BenchmarkApply(b *testing.B) {
	const changes = 2000
	file := remoteChanges(b, changes)
	for _, backend := range backends {
		b.Run("store="+backend.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				b.StopTimer()
				to := openBench(b, backend.open(b))
				b.StartTimer()
				if report, err := to.Import(b.Context(), bytes.NewReader(file)); err != nil || report.Applied != changes {
					b.Fatalf("Import = %+v, %v", report, err)
				}
				b.StopTimer()
				if err := to.Close(); err != nil {
					b.Fatal(err)
				}
				b.StartTimer()
			}
			b.ReportMetric(float64(b.N)*changes/b.Elapsed().Seconds(), "changes/s")
			b.ReportMetric(float64(b.N)*changes*cellOps/b.Elapsed().Seconds(), "ops/s")
		})
	}
}

// BenchmarkPropagate measures a change's way from Update on one node to Watch
// on another.
func BenchmarkPropagate(b *testing.B) {
	for _, backend := range backends {
		b.Run("store="+backend.name, func(b *testing.B) {
			from, to := openBench(b, backend.open(b)), openBench(b, backend.open(b))
			x, y := wire.Pipe()
			go from.Serve(b.Context(), x)
			go to.Serve(b.Context(), y)
			notes := from.Space("notes")
			arrived := make(chan struct{}, 1)
			events := to.Space("notes").Watch(b.Context(), nil)
			go func() {
				for _, err := range events {
					if err != nil {
						return
					}
					arrived <- struct{}{}
				}
			}()
			i := 0
			write := func() {
				i++
				mustUpdate(b, notes, func(tx *node.Tx) error { return ids.Add(tx, i) })
				<-arrived
			}
			write() // the link is up
			b.ReportAllocs()
			for b.Loop() {
				write()
			}
		})
	}
}
