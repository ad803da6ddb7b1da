// Command hub measures one node with many WebSocket connections on loopback
// against the bare WebSocket library, in one run: memory per idle connection,
// data frames to many sockets, and how fast devices come back after a restart.
// The far ends run in a process of their own.
//
//	go -C bench run ./hub
//	go -C bench run ./hub -only fan -frames 400
//
// Times are of processors: the ratio of what a frame costs the hub's process.
package main

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"syscall"
	"time"
)

var (
	only    = flag.String("only", "", "the `part` to measure: idle, fan or storm")
	idle    = flag.Int("idle", 5000, "idle connections")
	sockets = flag.Int("sockets", 256, "connections that data goes to")
	frames  = flag.Int("frames", 300, "frames to each of them")
	devices = flag.Int("devices", 400, "devices that come back after a restart")
	rate    = flag.Int("rate", 50, "handshakes per second that the restarted hub takes in")
	profile = flag.String("profile", "", "`file` for a CPU profile of the node's part of fan")
	role    = flag.String("role", "", "which far ends to play; for the program itself")
	at      = flag.String("at", "", "address of the hub; for the program itself")
	count   = flag.Int("count", 0, "number of far ends; for the program itself")
)

func main() {
	flag.Parse()
	raiseFileLimit()
	if *role != "" {
		play(*role)
		return
	}
	fmt.Printf("%s %s/%s, %d CPUs\n", runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.NumCPU())
	for _, part := range []struct {
		name string
		run  func()
	}{{"idle", measureIdle}, {"fan", measureFan}, {"storm", measureStorm}} {
		if *only == "" || *only == part.name {
			part.run()
		}
	}
}

// raiseFileLimit allows as many open files as the system lets this program have.
func raiseFileLimit() {
	var limit syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit) == nil {
		limit.Cur = limit.Max
		_ = syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit)
	}
}

// cpu returns the processor time of this process.
func cpu() time.Duration {
	var u syscall.Rusage
	check(syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func check(err error) {
	if err == nil {
		return
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}
