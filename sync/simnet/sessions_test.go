package simnet_test

import (
	"errors"
	"testing"

	"github.com/joinery-crdt/joinery/merge"
	"github.com/joinery-crdt/joinery/sync/simnet"
)

var (
	a1 = merge.Dot{Origin: merge.Origin{1}, Seq: 1}
	b1 = merge.Dot{Origin: merge.Origin{2}, Seq: 1}
	c1 = merge.Dot{Origin: merge.Origin{3}, Seq: 1}
)

// An act is a visit of a history: who sees what, and writes.
type act struct {
	client string
	cut    []merge.Dot
	wrote  merge.Dot
}

// TestSessionChecker hands over histories of clients that move between nodes.
func TestSessionChecker(t *testing.T) {
	tests := []struct {
		name    string
		history []act
		want    simnet.Guarantee // of the last act, empty if all is well
		missing merge.Dot
	}{
		{"stays", []act{{"x", nil, a1}, {"x", []merge.Dot{a1}, merge.Dot{}}}, "", merge.Dot{}},
		{"moves on", []act{{"x", nil, a1}, {"x", []merge.Dot{a1, b1}, merge.Dot{}}}, "", merge.Dot{}},
		{"moves where the write is not", []act{{"x", nil, a1}, {"x", []merge.Dot{b1}, merge.Dot{}}}, simnet.ReadYourWrites, a1},
		{"moves where less was read", []act{{"x", []merge.Dot{a1}, merge.Dot{}}, {"x", nil, merge.Dot{}}}, simnet.MonotonicReads, a1},
		{"others need not see it", []act{{"x", nil, a1}, {"y", nil, merge.Dot{}}}, "", merge.Dot{}},
		{
			"second write without the first",
			[]act{{"x", nil, a1}, {"x", []merge.Dot{a1}, b1}, {"y", []merge.Dot{b1}, merge.Dot{}}},
			simnet.MonotonicWrites, a1,
		},
		{
			"first write without the second",
			[]act{{"x", nil, a1}, {"x", []merge.Dot{a1}, b1}, {"y", []merge.Dot{a1}, merge.Dot{}}},
			"",
			merge.Dot{},
		},
		{
			"answer without the question",
			[]act{{"x", []merge.Dot{a1}, merge.Dot{}}, {"x", []merge.Dot{a1}, b1}, {"y", []merge.Dot{b1}, merge.Dot{}}},
			simnet.WritesFollowReads, a1,
		},
		{
			"change without what was there",
			[]act{{"x", []merge.Dot{c1}, merge.Dot{}}, {"y", []merge.Dot{a1}, merge.Dot{}}},
			simnet.ConsistentPrefix, b1,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var c simnet.SessionChecker
			c.Made(a1, merge.VectorOf(b1)) // matters to the last test only
			if tt.want != simnet.ConsistentPrefix {
				c.Made(a1, merge.VectorOf())
			}
			var err error
			for i, v := range tt.history {
				err = c.Visit(simnet.Visit{Client: v.client, Cut: merge.VectorOf(v.cut...), Wrote: v.wrote})
				if err != nil && i < len(tt.history)-1 {
					t.Fatalf("visit %d: %v", i, err)
				}
			}
			e, _ := errors.AsType[*simnet.SessionError](err)
			switch {
			case tt.want == "" && err != nil:
				t.Errorf("the history is refused: %v", err)
			case tt.want != "" && (e == nil || e.Guarantee != tt.want || e.Missing != tt.missing):
				t.Errorf("Visit = %v, want %s and %s", err, tt.want, tt.missing)
			}
		})
	}
}

// TestSessionCheckerForgets begins a session anew, as a client whose writes are
// lost does.
func TestSessionCheckerForgets(t *testing.T) {
	var c simnet.SessionChecker
	visit := func(cut *merge.VersionVector, wrote merge.Dot) error {
		return c.Visit(simnet.Visit{Client: "x", Cut: cut, Wrote: wrote})
	}
	if err := errors.Join(visit(merge.VectorOf(b1), merge.Dot{}), visit(merge.VectorOf(b1), a1)); err != nil {
		t.Fatal(err)
	}
	if read, wrote := c.Token("x"); !read.Contains(b1) || !wrote.Contains(a1) {
		t.Errorf("Token = %v, %v, want what was read and written", read.Sorted(), wrote.Sorted())
	}
	c.Forget("x")
	if err := visit(merge.VectorOf(), merge.Dot{}); err != nil {
		t.Errorf("a new session is held to the old one: %v", err)
	}
}
