// Command store measures how many records a second writers can make durable
// with boltstore, with bbolt alone, and with a file that is appended to, in one
// run: the backends take turns, and the ratios are of medians.
//
//	go -C bench run ./store -time 1s -rounds 5
package main

import (
	"encoding/binary"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

var (
	runTime = flag.Duration("time", time.Second, "how long one run writes")
	rounds  = flag.Int("rounds", 3, "runs of each backend")
	base    = flag.String("dir", "", "`directory` to write in, on the disk to measure")
)

// A backend makes records durable.
type backend struct {
	name string
	open func(dir string) (write func(key, value []byte) error, closeAll func() error, err error)
}

func main() {
	flag.Parse()
	fmt.Printf("%s %s/%s, %d CPUs, records of 16 + 84 bytes, median of %d runs of %v\n\n",
		runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), *rounds, *runTime)
	fmt.Printf("%-8s", "writers")
	for _, b := range backends {
		fmt.Printf(" %22s", b.name)
	}
	fmt.Println("   boltstore / the others")
	for _, writers := range []int{1, 64, 1024} {
		row(writers)
	}
}

// row measures all backends with a number of writers.
func row(writers int) {
	runs := make([][]float64, len(backends))
	for range *rounds {
		for i, b := range backends {
			runs[i] = append(runs[i], measure(b, writers))
		}
	}
	fmt.Printf("%-8d", writers)
	rates := make([]float64, len(runs))
	for i, r := range runs {
		slices.Sort(r)
		rates[i] = r[len(r)/2]
		fmt.Printf(" %20.0f/s", rates[i])
	}
	fmt.Print("  ")
	for _, other := range rates[1:] {
		fmt.Printf(" %.2f", rates[0]/other)
	}
	fmt.Println()
}

// measure returns the records that became durable each second.
func measure(b backend, writers int) float64 {
	dir, err := os.MkdirTemp(*base, "bench-store-")
	check(err)
	defer os.RemoveAll(dir)
	write, closeAll, err := b.open(dir)
	check(err)
	var n atomic.Int64
	var wg sync.WaitGroup
	begin := time.Now()
	for w := range writers {
		wg.Go(func() { n.Add(writeFor(uint64(w), begin.Add(*runTime), write)) })
	}
	wg.Wait()
	took := time.Since(begin)
	check(closeAll())
	return float64(n.Load()) / took.Seconds()
}

// writeFor writes records under random keys until a time, one after the other.
func writeFor(seed uint64, end time.Time, write func(key, value []byte) error) (n int64) {
	rng := rand.New(rand.NewPCG(seed, 0))
	key, value := make([]byte, 16), make([]byte, 84)
	for time.Now().Before(end) {
		binary.BigEndian.PutUint64(key, rng.Uint64())
		check(write(key, value))
		n++
	}
	return n
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
