// Command joinery-sim runs campaigns of simulated systems and judges them; see
// package sync/simnet. It exits with 1 when an oracle was violated, after
// printing the failing run cut down to what matters, or when a fault of the
// catalogue never happened, and with 2 for unusable flags.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/joinery-crdt/joinery/sync/simnet"
)

func main() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(400) // runs are small and short-lived
	}
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

// enough is the number of drawn steps from which on every fault must have
// happened.
const enough = 100_000

type options struct {
	campaign simnet.Campaign
	shrink   int
	ledger   string // file of a long campaign, empty for none
	chunk    int    // seeds between two lines of it
	verbose  bool
	list     bool
}

func run(args []string, stdout, stderr io.Writer) int {
	o, err := parse(args, stderr)
	if err != nil {
		return 2
	}
	if o.list {
		for _, m := range simnet.Mutants() {
			fmt.Fprintf(stdout, "%-28s %s\n", m.Name, m.What)
		}
		return 0
	}
	if o.verbose {
		o.campaign.Each = func(r simnet.Result) { printResult(stdout, r) }
	}
	if o.ledger != "" {
		return runLedger(stdout, stderr, o)
	}
	start, cpu := time.Now(), cpuTime()
	report := o.campaign.Run()
	printReport(stdout, report, o.campaign, time.Since(start), cpuTime()-cpu)
	return verdict(stdout, report, o)
}

func parse(args []string, stderr io.Writer) (o options, err error) {
	fs := flag.NewFlagSet("joinery-sim", flag.ContinueOnError)
	fs.SetOutput(stderr)
	c := &o.campaign
	fs.IntVar(&c.Seeds, "seeds", 2000, "number of seeds to run")
	fs.IntVar(&c.Steps, "steps", 500, "steps to draw per seed, before healing")
	fs.Uint64Var(&c.First, "start", 1, "first seed")
	fs.IntVar(&c.Workers, "workers", runtime.GOMAXPROCS(0), "seeds to run at a time")
	fs.IntVar(&c.Again, "again", 50, "run every n-th seed twice and compare, 0 for none")
	fs.IntVar(&o.shrink, "shrink", 3000, "runs to spend on shrinking a failure")
	fs.StringVar(&o.ledger, "ledger", "", "keep the account of a long campaign in this `file`, and go on where it ends")
	fs.IntVar(&o.chunk, "chunk", 1000, "seeds between two lines of the ledger")
	fs.BoolVar(&o.verbose, "v", false, "print a line per seed")
	fs.BoolVar(&o.list, "mutants", false, "list the planted bugs and exit")
	mutant := fs.String("mutant", "", "run the system with this planted bug")
	if err := fs.Parse(args); err != nil {
		return o, err
	}
	if *mutant == "" {
		return o, nil
	}
	if c.Mutant = simnet.MutantNamed(*mutant); c.Mutant == nil {
		err = fmt.Errorf("joinery-sim: no mutant is called %q; -mutants lists them", *mutant)
		fmt.Fprintln(stderr, err)
	}
	return o, err
}

func printResult(w io.Writer, r simnet.Result) {
	fmt.Fprintf(w, "seed %d  %016x  %d steps  %d changes  %v\n", r.Seed, r.Hash, r.Steps, r.Changes, r.Knobs)
}

func printReport(w io.Writer, r simnet.Report, c simnet.Campaign, took, cpu time.Duration) {
	if c.Mutant != nil {
		fmt.Fprintf(w, "planted bug %s: %s\n", c.Mutant.Name, c.Mutant.What)
	}
	fmt.Fprintf(w, "seeds %d to %d, %d drawn steps each: %d seeds, %d steps with healing, %d changes in %v, %v of a processor (%.0f seeds/s, %.0f steps/s)\n",
		c.First, c.First+uint64(c.Seeds)-1, c.Steps, r.Seeds, r.Steps, r.Changes, took.Round(10*time.Millisecond), cpu.Round(10*time.Millisecond),
		float64(r.Seeds)/took.Seconds(), float64(r.Steps)/took.Seconds())
	for f, n := range r.Coverage {
		fmt.Fprintf(w, "%10d  %v\n", n, simnet.Fault(f))
	}
}

func printFailure(w io.Writer, r simnet.Report, o options) {
	fmt.Fprintf(w, "FAILED at seed %d, after %d seeds\n%v\n", r.Failure.Seed, r.Failure.Seed-o.campaign.First+1,
		simnet.Shrink(*r.Failure, o.campaign.Options, o.shrink))
}

// verdict prints what is wrong, if anything, and returns the exit code.
func verdict(w io.Writer, r simnet.Report, o options) int {
	if r.Failure != nil {
		printFailure(w, r, o)
		return 1
	}
	absent := r.Coverage.Absent()
	if len(absent) > 0 && o.campaign.Seeds*o.campaign.Steps >= enough {
		fmt.Fprintf(w, "FAILED: never happened: %v\n", absent)
		return 1
	}
	fmt.Fprintln(w, "every oracle held")
	return 0
}
