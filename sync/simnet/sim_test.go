package simnet_test

import (
	"runtime"
	"slices"
	"testing"

	"github.com/joinery-crdt/joinery/sync/simnet"
)

const steps = 500

// seeds returns how many seeds a test runs: n, or a fifth under -short and
// under the race detector.
func seeds(n int) int {
	if testing.Short() || raceDetector {
		return n / 5
	}
	return n
}

func campaign(o simnet.Options, n int) simnet.Campaign {
	return simnet.Campaign{Options: o, First: 1, Seeds: n, Workers: runtime.GOMAXPROCS(0)}
}

// mustHold fails the test with the counterexample of a campaign that failed.
func mustHold(t *testing.T, c simnet.Campaign) simnet.Report {
	t.Helper()
	r := c.Run()
	if r.Failure != nil {
		t.Fatalf("%v\n%v", r.Failure.Failure, simnet.Shrink(*r.Failure, c.Options, 2000))
	}
	t.Logf("seeds %d to %d, %d steps drawn and %d executed, %d changes",
		c.First, c.First+uint64(c.Seeds)-1, c.Seeds*c.Steps, r.Steps, r.Changes)
	return r
}

func TestEveryOracleHolds(t *testing.T) {
	const all = 200
	c := campaign(simnet.Options{Steps: steps}, seeds(all))
	c.Again = 1
	r := mustHold(t, c)
	if absent := r.Coverage.Absent(); len(absent) > 0 && r.Seeds == all {
		t.Errorf("in %d seeds this never happened: %v", r.Seeds, absent)
	}
}

// TestMutantsDie runs each mutant until a seed finds its bug.
func TestMutantsDie(t *testing.T) {
	const enough = 300
	for _, m := range simnet.Mutants() {
		t.Run(m.Name, func(t *testing.T) {
			c := campaign(simnet.Options{Steps: steps, Mutant: m}, enough)
			if m.Name == "map-order" {
				c.Again = 1
			}
			r := c.Run()
			if r.Failure == nil {
				t.Fatalf("%d seeds passed although %s", r.Seeds, m.What)
			}
			t.Logf("killed by seed %d: %s", r.Failure.Seed, r.Failure.Failure.Oracle)
		})
	}
}

// TestOperationCounterHolds is the control of the mutants that count twice: what
// they plant their bugs into is right by itself.
func TestOperationCounterHolds(t *testing.T) {
	mustHold(t, campaign(simnet.Options{Steps: steps, Mutant: simnet.OperationCounter()}, seeds(50)))
}

// TestVectorContextIsFoundByMeaning plants the classic bug, a context read as a
// plain version vector, and counts who notices in 30 seeds.
func TestVectorContextIsFoundByMeaning(t *testing.T) {
	const enough = 30
	found := func(oracles ...simnet.Oracle) (n int) {
		o := simnet.Options{Steps: steps, Mutant: simnet.MutantNamed("vector-context"), Only: oracles}
		for seed := range uint64(enough) {
			if r := simnet.Run(seed, o); r.Failure != nil {
				n++
			}
		}
		return n
	}
	meaning := found(simnet.Specification, simnet.CameBack, simnet.Disappeared)
	t.Logf("of %d seeds: specification %d, convergence %d", enough, meaning, found(simnet.Convergence))
	if meaning == 0 {
		t.Error("no seed made the specification notice")
	}
}

func TestShrink(t *testing.T) {
	o := simnet.Options{Steps: steps, Mutant: simnet.MutantNamed("two-phase-resurrects"), Only: []simnet.Oracle{simnet.CameBack}}
	r := campaign(o, 100).Run()
	if r.Failure == nil {
		t.Fatal("the mutant was not found")
	}
	c := simnet.Shrink(*r.Failure, o, 2000)
	t.Logf("from %d steps:\n%v", len(r.Failure.Schedule), c)
	if c.Failure.Oracle != simnet.CameBack {
		t.Errorf("the shrunk run violates %q, want %q", c.Failure.Oracle, simnet.CameBack)
	}
	const few = 15
	if len(c.Schedule) > few {
		t.Errorf("%d steps are left, want at most %d", len(c.Schedule), few)
	}
	again := simnet.Shrink(*r.Failure, o, 2000)
	if !slices.Equal(again.Lines, c.Lines) {
		t.Error("shrinking the same failure twice told two stories")
	}
}

// TestShrinkKeepsWhatDoesNotRepeat hands over a failure that no replay shows.
func TestShrinkKeepsWhatDoesNotRepeat(t *testing.T) {
	r := simnet.Run(1, simnet.Options{Steps: 50})
	r.Failure = &simnet.Failure{Oracle: simnet.Determinism, Text: "made up"}
	c := simnet.Shrink(r, simnet.Options{Steps: 50}, 100)
	if len(c.Schedule) != len(r.Schedule) || c.Failure.Text != "made up" || len(c.Lines) == 0 {
		t.Errorf("Shrink left %d of %d steps, %d lines and %v", len(c.Schedule), len(r.Schedule), len(c.Lines), c.Failure)
	}
}
