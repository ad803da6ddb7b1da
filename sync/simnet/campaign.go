package simnet

import (
	"slices"
	"sync"
	"sync/atomic"
)

// A Campaign runs many seeds.
type Campaign struct {
	Options
	First   uint64 // seed
	Seeds   int
	Workers int // goroutines, each with one run at a time; 0 for 1
	// Again is how often a seed is run twice to compare the hashes: every
	// Again-th seed, 0 for never.
	Again int
	// Each is called for every result in no particular order, by one worker at
	// a time, unless it is nil.
	Each func(Result)
}

// A Report sums a campaign up.
type Report struct {
	Seeds    int // run
	Steps    int // executed, healing and second runs included
	Changes  int // made
	Coverage Coverage
	Failure  *Result // of the lowest failing seed, nil if every oracle held
}

// Run runs the seeds, in order as far as the workers take them, and stops at
// the first failure. The failure it reports is that of the lowest seed, however
// many workers there are.
func (c Campaign) Run() Report {
	var (
		r    Report
		mu   sync.Mutex // guards r and calls of Each
		next atomic.Uint64
		stop atomic.Bool
		wg   sync.WaitGroup
	)
	for range max(c.Workers, 1) {
		wg.Go(func() {
			for !stop.Load() {
				i := next.Add(1) - 1
				if i >= uint64(c.Seeds) {
					return
				}
				result := c.one(c.First + i)
				if result.Failure != nil {
					stop.Store(true)
				}
				mu.Lock()
				r.add(result)
				if c.Each != nil {
					c.Each(result)
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return r
}

// one runs a seed, perhaps twice.
func (c Campaign) one(seed uint64) Result {
	r := Run(seed, c.Options)
	if c.Again == 0 || seed%uint64(c.Again) != 0 || r.Failure != nil {
		return r
	}
	again := Run(seed, c.Options)
	r.Steps += again.Steps
	if again.Hash != r.Hash {
		r.Failure = &Failure{Determinism, again.Steps, "the same seed gave two runs"}
	}
	return r
}

func (r *Report) add(x Result) {
	r.Seeds++
	r.Steps += x.Steps
	r.Changes += x.Changes
	r.Coverage.Add(&x.Coverage)
	if x.Failure != nil && (r.Failure == nil || x.Seed < r.Failure.Seed) {
		x.Schedule = slices.Clone(x.Schedule)
		r.Failure = &x
	}
}
