// Command hub measures one node with many WebSocket connections on loopback
// against the bare WebSocket library, in one run: memory per idle connection,
// data frames to many sockets, how fast devices come back after a restart, and
// what readers cost that have stopped reading. The far ends run in a process of
// their own. A table with the goals comes last.
//
//	go -C bench run ./hub
//	go -C bench run ./hub -only fan -rounds 5
//
// Times are of processors: the ratio of what a change costs the hub's process.
// The two sides take turns, so that neither has the quieter machine.
package main

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"
)

var (
	only    = flag.String("only", "", "the `parts` to measure, with commas between: idle, fan, storm, stalled")
	idle    = flag.Int("idle", 5000, "idle connections")
	sockets = flag.Int("sockets", 256, "connections that data goes to")
	frames  = flag.Int("frames", 300, "frames to each of them in a round")
	rounds  = flag.Int("rounds", 5, "rounds of data frames")
	devices = flag.Int("devices", 400, "devices that come back after a restart")
	rate    = flag.Int("rate", 50, "handshakes per second that the restarted hub takes in")
	stalled = flag.Int("stalled", 1000, "readers that stop reading")
	written = flag.Int("written", 10_000, "changes that are written meanwhile")
	profile = flag.String("profile", "", "`prefix` of files for profiles: prefix.raw and prefix.node of the last round of fan, prefix.heap.raw and prefix.heap.node of idle")
	role    = flag.String("role", "", "which far ends to play; for the program itself")
	at      = flag.String("at", "", "address of the hub; for the program itself")
	count   = flag.Int("count", 0, "number of far ends; for the program itself")
)

// A row is a line of the table: what was measured and what was to be reached.
type row struct {
	what, figure, goal string
	met                bool
}

func main() {
	flag.Parse()
	raiseFileLimit()
	if *role != "" {
		play(*role)
		return
	}
	fmt.Printf("%s %s/%s, %d CPUs\n", runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.NumCPU())
	var rows []row
	for _, part := range []struct {
		name string
		run  func() []row
	}{{"idle", measureIdle}, {"fan", measureFan}, {"storm", measureStorm}, {"stalled", measureStalled}} {
		if *only == "" || strings.Contains(","+*only+",", ","+part.name+",") {
			rows = append(rows, part.run()...)
		}
	}
	printTable(rows)
}

func printTable(rows []row) {
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "\nwhat\tmeasured\tgoal\t")
	for _, r := range rows {
		verdict := "met"
		if !r.met {
			verdict = "not met"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", r.what, r.figure, r.goal, verdict)
	}
	check(w.Flush())
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
