// Command ladder prints what each rung of the anti-entropy ladder puts on the
// network, in bytes and round trips, beside the goals of the design and beside
// what a full transfer would cost. Real nodes talk over connections in memory, one
// frame at a time, so that the figures are exact and the same in every run. It fails
// if a goal is missed.
//
//	go -C bench run ./ladder
//	go -C bench run ./ladder -n 10000
//	go -C bench run ./ladder -only mesh
package main

import (
	"flag"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
)

func main() {
	sizes := flag.String("n", "10000,1000000", "`numbers` of elements of a space, separated by commas")
	only := flag.String("only", "", "the `part` to measure: delta, space, origins or mesh")
	testing.Init()
	flag.Parse()
	var ns []int
	for _, s := range strings.Split(*sizes, ",") {
		n, err := strconv.Atoi(s)
		if err != nil || n < 4000 {
			fmt.Fprintf(os.Stderr, "ladder: -n %s: numbers from 4000 on, separated by commas\n", *sizes)
			os.Exit(2)
		}
		ns = append(ns, n)
	}
	// Nodes run in a bubble of package synctest, which waits for them exactly and
	// wants a test.
	testing.Main(func(string, string) (bool, error) { return true, nil }, []testing.InternalTest{{
		Name: "ladder", F: func(t *testing.T) { ladder(t, *only, ns, printRow) },
	}}, nil, nil)
}

// ladder measures all rungs and gives each row to show. Goals that are missed
// fail the test.
func ladder(t *testing.T, only string, sizes []int, show func(row)) {
	report := func(r row) {
		show(r)
		for _, miss := range r.misses() {
			t.Errorf("goal %s: %s, %s: %s", r.goal, r.rung, r.what, miss)
		}
	}
	want := func(part string) bool { return only == "" || only == part }
	if want("delta") {
		deltas(report)
	}
	if want("space") {
		for _, n := range sizes {
			spaces(t, n, report)
		}
	}
	if want("origins") {
		origins(t, 1000, report)
	}
	if want("mesh") {
		meshes(t, report)
	}
}

// A row is what one meeting of two nodes cost.
type row struct {
	goal, rung, what string
	n                int // elements, origins or nodes
	cost
	full   int // bytes of all cells
	checks []check
}

// A check compares a figure with the bound that a goal sets.
type check struct {
	what       string
	got, limit float64
}

func (r row) misses() (out []string) {
	for _, c := range r.checks {
		if c.got > c.limit {
			out = append(out, fmt.Sprintf("%s %.6g, at most %g wanted", c.what, c.got, c.limit))
		}
	}
	return out
}

func (r row) verdict() string {
	if r.goal == "" {
		return ""
	}
	var said []string
	for _, c := range r.checks {
		said = append(said, fmt.Sprintf("%s %.5g <= %g", c.what, c.got, c.limit))
	}
	word := "met"
	if len(r.misses()) > 0 {
		word = "NOT MET"
	}
	return word + ": " + strings.Join(said, ", ")
}

var headed bool

func printRow(r row) {
	if !headed {
		fmt.Print("control: questions and answers. payload: frames of changes and cells. Round trips: of control + of cells.\n",
			"Up is from who connects or asks. Hellos, heartbeats and acknowledgements are of the connection and not counted.\n\n")
		fmt.Printf("%-4s %-18s %-44s %8s %8s %8s %9s %6s %11s  %s\n",
			"goal", "rung", "what was different", "n", "up B", "down B", "payload B", "trips", "full B", "bound")
		headed = true
	}
	full := "-"
	if r.full > 0 {
		full = strconv.Itoa(r.full)
	}
	fmt.Printf("%-4s %-18s %-44s %8d %8d %8d %9d %3d+%-2d %11s  %s\n",
		r.goal, r.rung, r.what, r.n, r.control[0], r.control[1], r.payload[0]+r.payload[1], r.asking, r.repairing, full, r.verdict())
}
