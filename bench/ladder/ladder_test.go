package main

import (
	"strings"
	"testing"
)

// The goals of the ladder hold at a size that CI can afford; "go run ./ladder"
// shows them at a million.
func TestLadderMeetsItsGoals(t *testing.T) {
	seen := make(map[string]int)
	ladder(t, "space", []int{20_000}, func(r row) {
		t.Logf("%s %s, %s: %+v %s", r.goal, r.rung, r.what, r.cost, r.verdict())
		if seen[r.goal]++; r.total() == 0 && r.goal != "" || len(r.checks) == 0 && r.goal != "" {
			t.Errorf("%s, %s: nothing was counted", r.rung, r.what)
		}
	})
	for _, goal := range []string{"10", "11", "12", "13"} {
		if seen[goal] == 0 {
			t.Errorf("goal %s has no row", goal)
		}
	}
}

// A bound that is missed is named.
func TestMissesAreNamed(t *testing.T) {
	r := row{goal: "10", checks: []check{{"request", 33, 32}, {"trips", 1, 1}}}
	if got := r.misses(); len(got) != 1 || !strings.Contains(got[0], "request 33, at most 32") {
		t.Errorf("misses = %q, want the request", got)
	}
	if got := r.verdict(); !strings.HasPrefix(got, "NOT MET: request") {
		t.Errorf("verdict = %q", got)
	}
}
