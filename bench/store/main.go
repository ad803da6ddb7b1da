// Command store measures the stores against what they are made of, in one run:
// how many records writers make durable, what a million cells cost to open, in
// memory and on the disk, and what a space gives back that is emptied. Where
// there is no PostgreSQL its rows are left out.
//
//	go -C bench run ./store
//	go -C bench run ./store -only durable -time 1s -rounds 5
//
// The durable writes of a table take turns, and its ratios are of medians.
package main

import (
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"time"

	"github.com/joinery-crdt/joinery/internal/pgtest"
)

var (
	only    = flag.String("only", "", "the `part` to measure: durable, million or returns")
	runTime = flag.Duration("time", time.Second, "how long one run of durable writes takes")
	rounds  = flag.Int("rounds", 3, "runs of each backend")
	cells   = flag.Int("cells", 1_000_000, "cells of a large space")
	base    = flag.String("dir", "", "`directory` to write in, on the disk to measure")
)

// server is a PostgreSQL of this run, nil if there is none.
var server *pgtest.Server

func main() {
	flag.Parse()
	fmt.Printf("%s %s/%s, %d CPUs\n", runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.NumCPU())
	var err error
	if server, err = pgtest.Start(nil); err != nil {
		fmt.Println("without PostgreSQL:", err)
	} else {
		defer server.Stop()
	}
	go stopWhenInterrupted()
	for _, part := range []struct {
		name string
		run  func()
	}{{"durable", durable}, {"million", million}, {"returns", returns}} {
		if *only == "" || *only == part.name {
			part.run()
		}
	}
}

// stopWhenInterrupted leaves no server behind.
func stopWhenInterrupted() {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	check(fmt.Errorf("interrupted: %v", <-signals))
}

// cpu returns the processor time of this process and of the server.
func cpu() time.Duration {
	var u syscall.Rusage
	check(syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	used := time.Duration(u.Utime.Nano() + u.Stime.Nano())
	if server != nil {
		used += server.CPU()
	}
	return used
}

// tempDir returns a new directory on the disk to measure, and what removes it.
func tempDir() (dir string, remove func()) {
	dir, err := os.MkdirTemp(*base, "bench-store-")
	check(err)
	return dir, func() { check(os.RemoveAll(dir)) }
}

func check(err error) {
	if err == nil {
		return
	}
	fmt.Fprintln(os.Stderr, err)
	if server != nil {
		_ = server.Stop()
	}
	os.Exit(1)
}
