// Command table measures this module against plain baselines in one run and
// prints ratios: absolute times are of the machine it runs on.
//
//	go -C bench run ./table
//	go -C bench run ./table -only orset
package main

import (
	"context"
	"encoding/binary"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/joinery-crdt/joinery/bench"
	"github.com/joinery-crdt/joinery/crdt"
	"github.com/joinery-crdt/joinery/hlc"
	"github.com/joinery-crdt/joinery/merge"
	"github.com/joinery-crdt/joinery/store"
	"github.com/joinery-crdt/joinery/store/boltstore"
	"github.com/joinery-crdt/joinery/store/memstore"
	crdtsync "github.com/joinery-crdt/joinery/sync"
	"github.com/joinery-crdt/joinery/sync/node"
)

var (
	me   = merge.Origin{1}
	them = merge.Origin{2}
)

func main() {
	only := flag.String("only", "", "the part to measure: general, orset, lwwmap, exchange or stress (not part of the rest: it takes minutes)")
	n := flag.Int("n", 1_000_000, "elements of a large set")
	flag.Parse()
	fmt.Printf("%s %s/%s, %d CPUs\n\n", runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.NumCPU())
	if *only == "" || *only == "general" {
		general()
	}
	if *only == "" || *only == "orset" {
		orsetGoals(*n)
	}
	if *only == "" || *only == "lwwmap" {
		lwwmapGoals(100_000)
	}
	if *only == "stress" {
		stressGoals(*n)
	}
	if *only == "" || *only == "exchange" {
		exchangeGoals()
	}
}

func general() {
	fmt.Printf("%-52s %12s %12s %8s\n", "what", "this", "baseline", "ratio")
	const n = 100_000
	row("OR-set: add, 100 k keys / Go map insert", perOp(addAll(n), n), perOp(mapAll(n), n), "ns")
	row("OR-set: merge 1 element, at 1 M / at 1 k", perOp(mergeOne(1_000_000), mergeBatch), perOp(mergeOne(1_000), mergeBatch), "ns")
	row("OR-set: merge 1 element at 10 k / textbook", perOp(mergeOne(10_000), mergeBatch), perOp(textbookOne(10_000), 1), "ns")
	counterRows()
	row("bytes of a change that adds a 21-byte key / the key", changeSize(), 21, "B")
	row("durable updates, 64 writers / 1 writer, ns each", durable(64), durable(1), "ns")
	row("update in memory / store transaction alone", inMemory(), bareStore(), "ns")
}

func row(what string, this, baseline float64, unit string) {
	fmt.Printf("%-52s %9.0f %s %9.0f %s %8.3f\n", what, this, unit, baseline, unit, this/baseline)
}

// perOp returns the time of one of n operations in nanoseconds: the median of
// three runs.
func perOp(fn func(b *testing.B), n int) float64 {
	runs := make([]float64, 3)
	for i := range runs {
		r := testing.Benchmark(fn)
		runs[i] = float64(r.T.Nanoseconds()) / float64(r.N) / float64(n)
	}
	return max(min(runs[0], runs[1]), min(max(runs[0], runs[1]), runs[2]))
}

func key(i int) string { return fmt.Sprintf("key-%017d", i) }

func keys(n int) []string {
	k := make([]string, n)
	for i := range k {
		k[i] = key(i)
	}
	return k
}

func addAll(n int) func(*testing.B) {
	all := keys(n)
	return func(b *testing.B) {
		for b.Loop() {
			var s crdt.ORSet[string]
			for _, k := range all {
				s.Add(me, k)
			}
		}
	}
}

func mapAll(n int) func(*testing.B) {
	all := keys(n)
	return func(b *testing.B) {
		for b.Loop() {
			m := make(map[string]uint64)
			for i, k := range all {
				m[k] = uint64(i)
			}
		}
	}
}

// mergeBatch is how many one-element deltas one measured step merges.
const mergeBatch = 1000

// mergeOne merges deltas of one element into a set of n.
func mergeOne(n int) func(*testing.B) {
	var s, other crdt.ORSet[string]
	for _, k := range keys(n) {
		s.Add(me, k)
	}
	deltas := make([]*crdt.ORSet[string], mergeBatch)
	for i := range deltas {
		deltas[i] = other.Add(them, key(n+i))
	}
	return func(b *testing.B) {
		for b.Loop() {
			for _, d := range deltas {
				s.Merge(d)
			}
		}
	}
}

func textbookOne(n int) func(*testing.B) {
	s, other := bench.NewTextbookORSet(), bench.NewTextbookORSet()
	for _, k := range keys(n) {
		s.Add("me", k)
	}
	other.Add("them", key(n))
	return func(b *testing.B) {
		for b.Loop() {
			s.Merge(other)
		}
	}
}

// changeSize returns the bytes of a change that adds one key to an OR-set.
func changeSize() float64 {
	element, err := crdt.EncodeElement(key(1))
	check(err)
	c, err := crdtsync.NewChange(merge.Dot{Origin: me, Seq: 1}, hlc.Timestamp(1), crdtsync.Hash{}, nil, []crdtsync.CellOp{{
		Cell: crdtsync.CellKey{Object: "tags", Kind: crdt.ORSetKind.Name(), Element: string(element)}, Op: crdt.Op{Put: true},
	}})
	check(err)
	return float64(len(c.Bytes()))
}

// durable returns the time per update with that many writers at a time.
func durable(writers int) float64 {
	dir, err := os.MkdirTemp("", "bench-")
	check(err)
	defer os.RemoveAll(dir)
	st, err := boltstore.Open(filepath.Join(dir, "store"), boltstore.Options{})
	check(err)
	return updates(st, writers)
}

func inMemory() float64 { return updates(memstore.New(), 1) }

func updates(st store.Store, writers int) float64 {
	ctx := context.Background()
	n, err := node.Open(ctx, node.Config{Store: st})
	check(err)
	defer n.Close()
	space, value := n.Space("bench"), strings.Repeat("x", 100)
	ref := node.LWW[string]("value")
	return perOp(func(b *testing.B) {
		b.SetParallelism(max(1, writers/runtime.GOMAXPROCS(0)))
		run := func() {
			check(space.Update(ctx, func(tx *node.Tx) error { return ref.Set(tx, value) }))
		}
		if writers == 1 {
			for b.Loop() {
				run()
			}
			return
		}
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				run()
			}
		})
	}, 1)
}

// bareStore returns the time of a transaction that writes what an update does.
func bareStore() float64 {
	ctx := context.Background()
	st := memstore.New()
	value := make([]byte, 200)
	seq := uint64(0)
	return perOp(func(b *testing.B) {
		for b.Loop() {
			seq++
			check(st.Update(ctx, func(tx store.Tx) error {
				for t := store.Cells; t <= store.Vector; t++ {
					if err := tx.Put("bench", t, binary.BigEndian.AppendUint64(nil, seq), value); err != nil {
						return err
					}
				}
				return tx.Put("bench", store.Meta, []byte("summary"), value)
			}))
		}
	}, 1)
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}
