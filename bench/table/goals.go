package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"slices"
	"syscall"
	"time"
)

// goal prints one row: a figure of ours, the same of the baseline, and whether
// their ratio keeps the bound.
func goal(number int, what string, this, baseline, bound float64, unit string) {
	met := "met"
	if this/baseline > bound {
		met = "NOT MET"
	}
	fmt.Printf("%4d  %-58s %10.1f %10.1f %-2s %7.3f %7.3f  %s\n", number, what, this, baseline, unit, this/baseline, bound, met)
}

func goalHead() {
	fmt.Printf("\n%4s  %-58s %10s %10s %-2s %7s %7s\n", "goal", "what", "this", "baseline", "", "ratio", "bound")
}

// cpu returns the processor time of the process.
func cpu() time.Duration {
	var u syscall.Rusage
	check(syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// spent returns the processor time of f in nanoseconds, collection of its garbage
// included.
func spent(f func()) float64 {
	start := cpu()
	f()
	return float64(cpu() - start)
}

// rounds is how often each side of a comparison is measured.
const rounds = 5

// interleaved returns the medians of figures that are measured in turn.
func interleaved(figures ...func() float64) []float64 {
	all := make([][]float64, len(figures))
	for range rounds {
		for i, figure := range figures {
			runtime.GC()
			all[i] = append(all[i], figure())
		}
	}
	medians := make([]float64, len(figures))
	for i := range all {
		slices.Sort(all[i])
		medians[i] = all[i][rounds/2]
	}
	return medians
}

// heap returns the bytes in use by what make returns and keeps.
func heap(make func() any) float64 {
	before := inUse()
	kept := make()
	after := inUse()
	runtime.KeepAlive(kept)
	return after - before
}

func inUse() float64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc)
}

// collecting returns what the collection of garbage costs while resident is
// there.
func collecting(resident any) float64 {
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	runtime.GC()
	t := spent(func() {
		for range 10 {
			runtime.GC()
		}
	})
	runtime.KeepAlive(resident)
	return t
}
