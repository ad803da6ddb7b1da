package main

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

type writeFunc = func(key, value []byte) error

// A backend makes records durable.
type backend struct {
	name string
	open func(dir string) (write writeFunc, closeAll func() error, err error)
}

// tables are what is compared; in each, the others are measured against the
// first.
func tables() [][]backend {
	all := [][]backend{
		{{"boltstore", openStore}, {"bbolt, gathered", openGathered}, {"bbolt.Batch", openBatch}, {"append+fsync", openAppend}},
		{{"node on boltstore", openNode}, {"bbolt, gathered", openGatheredNode}},
	}
	if server != nil {
		all = append(all, []backend{{"pgstore", openPostgres}, {"pgx, gathered", openGatheredPostgres}})
	}
	return all
}

// A rate is what one run reached.
type rate struct {
	perSecond float64
	cpu       time.Duration // for each record
}

func durable() {
	for _, table := range tables() {
		fmt.Printf("\ndurable records of 16 + 84 bytes, median of %d runs of %v\n%-8s", *rounds, *runTime, "writers")
		for _, b := range table {
			fmt.Printf(" %25s", b.name)
		}
		fmt.Println("   the first / the others, in records a second; in CPU time")
		for _, writers := range []int{1, 64, 1024} {
			row(table, writers)
		}
	}
}

// row measures all backends with a number of writers.
func row(table []backend, writers int) {
	runs := make([][]rate, len(table))
	for range *rounds {
		for i, b := range table {
			runs[i] = append(runs[i], measure(b, writers))
		}
	}
	fmt.Printf("%-8d", writers)
	medians := make([]rate, len(runs))
	for i, r := range runs {
		slices.SortFunc(r, func(a, b rate) int { return int(a.perSecond - b.perSecond) })
		medians[i] = r[len(r)/2]
		fmt.Printf(" %10.0f/s %9.1f us", medians[i].perSecond, medians[i].cpu.Seconds()*1e6)
	}
	fmt.Print("  ")
	for _, other := range medians[1:] {
		fmt.Printf("  %.2f;%.2f", medians[0].perSecond/other.perSecond, medians[0].cpu.Seconds()/other.cpu.Seconds())
	}
	fmt.Println()
}

// measure returns how fast records became durable.
func measure(b backend, writers int) rate {
	dir, remove := tempDir()
	defer remove()
	write, closeAll, err := b.open(dir)
	check(err)
	for range 8 { // connections, plans
		check(write(make([]byte, 16), nil))
	}
	var n atomic.Int64
	var wg sync.WaitGroup
	begin, used := time.Now(), cpu()
	for w := range writers {
		wg.Go(func() { n.Add(writeFor(uint64(w), begin.Add(*runTime), write)) })
	}
	wg.Wait()
	r := rate{float64(n.Load()) / time.Since(begin).Seconds(), (cpu() - used) / time.Duration(n.Load())}
	check(closeAll())
	return r
}

// writeFor writes records under random keys until a time, one after the other.
func writeFor(seed uint64, end time.Time, write writeFunc) (n int64) {
	rng := rand.New(rand.NewPCG(seed, 0))
	key, value := make([]byte, 16), make([]byte, 84)
	for time.Now().Before(end) {
		binary.BigEndian.PutUint64(key, rng.Uint64())
		check(write(key, value))
		n++
	}
	return n
}
