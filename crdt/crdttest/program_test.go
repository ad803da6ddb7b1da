package crdttest_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/joinery-crdt/joinery/crdt/crdttest"
)

// watched is the form of a set whose specification looks on.
func watched(see func(crdttest.Changes)) crdttest.Form[*dotSet] {
	f := dotSets(noBug)
	f.Spec = func(visible crdttest.Changes) string {
		see(visible)
		return crdttest.ORSetSpec(visible)
	}
	return f
}

func TestHappenedBefore(t *testing.T) {
	var all crdttest.Changes
	f := watched(func(visible crdttest.Changes) {
		if len(visible) > len(all) {
			all = visible
		}
	})
	err := f.Run(crdttest.Specified, crdttest.Program{
		{At: 0},                                 // #0 at A
		{Do: crdttest.Pull, At: 1, From: 0},     // B has #0
		{At: 1, What: 1, Element: 1, N: 3},      // #1 at B, after #0
		{At: 2, N: 5},                           // #2 at C, concurrent with both
		{Do: crdttest.Deliver, At: 2, From: 1},  // C gets #1, not its cause
		{At: 2},                                 // and so changes nothing
		{Do: crdttest.Group, From: 0, What: 1},  // #2 and #1 in one delta
		{Do: crdttest.Deliver, At: 0, From: 0},  // which reaches A
		{At: 0, Element: 2},                     // #3, after all others
		{Do: crdttest.Reload, At: 0},            // a type without bytes stays
		{Do: crdttest.Deliver, At: 0, From: 99}, // again
	})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := fmt.Sprint(all), "[#0 = add e0 1 at time 1 #1 = remove e1 -1 at time 2, after #0 "+
		"#2 = add e0 0 at time 1 #3 = add e2 1 at time 3, after #0 #1 #2]"; got != want {
		t.Fatalf("the history is\n%s, want\n%s", got, want)
	}
	if !all[1].Saw(all[0]) || all[0].Saw(all[1]) || all[2].Saw(all[0]) || all[1].Saw(all[1]) {
		t.Error("happened-before is wrong")
	}
	if id, ok := all[1].Target(); id != 0 || !ok {
		t.Errorf("the target of #1 is %d, %t, want #0, the only one it saw", id, ok)
	}
	if _, ok := all[2].Target(); ok {
		t.Error("a change that saw nothing has a target")
	}
}

func TestChanges(t *testing.T) {
	var all crdttest.Changes
	f := watched(func(visible crdttest.Changes) { all = visible })
	if err := f.Run(crdttest.Specified, crdttest.Program{{At: 0, N: 1}, {At: 0, What: 1, N: 2}, {At: 1, N: 3}, {At: 1, Element: 1}}); err != nil {
		t.Fatal(err)
	}
	ids := func(c crdttest.Changes) (ids []int) {
		for _, o := range c {
			ids = append(ids, o.ID)
		}
		return ids
	}
	adds, removes := all.With("add"), all.Without("add")
	last, _ := all.Last()
	_, none := all[:0].Last()
	for what, c := range map[string]struct{ got, want any }{
		"With":     {ids(adds), []int{0, 2, 3}},
		"Without":  {ids(removes), []int{1}},
		"Of":       {ids(all.Of("e1")), []int{3}},
		"By":       {ids(all.By(crdttest.Origin(0))), []int{0, 1}},
		"UnseenBy": {ids(adds.UnseenBy(removes)), []int{2, 3}},
		"HaveSeen": {[]bool{removes.HaveSeen(all[0]), removes.HaveSeen(all[2])}, []bool{true, false}},
		"Sum":      {all.Of("e0").Sum(), int64(2 + 3 - 1)},
		"Last":     {last.ID, 3}, // the time of #1, and the larger origin
		"no Last":  {none, false},
		"Elements": {all.Elements(), []string{"e0", "e1"}},
		"Amount":   {all[2].Amount(), int64(1)},
	} {
		if fmt.Sprint(c.got) != fmt.Sprint(c.want) {
			t.Errorf("%s is %v, want %v", what, c.got, c.want)
		}
	}
}

func TestShrink(t *testing.T) {
	deliversTwice := func(p crdttest.Program) error {
		n := 0
		for _, s := range p {
			if s.Do == crdttest.Deliver && s.At == 2 {
				n++
			}
		}
		if n < 2 {
			return nil
		}
		return fmt.Errorf("%d deliveries", n)
	}
	for seed := range uint64(20) {
		p := crdttest.Random(rand.New(rand.NewPCG(seed, 0)), 60)
		least, err := crdttest.Shrink(p, deliversTwice)
		if deliversTwice(p) == nil {
			if err != nil || !slices.Equal(least, p) {
				t.Errorf("a program that does not fail shrinks to %v, %v", least, err)
			}
			continue
		}
		if want := (crdttest.Program{{Do: crdttest.Deliver, At: 2}, {Do: crdttest.Deliver, At: 2}}); !slices.Equal(least, want) || err == nil {
			t.Errorf("%v shrinks to %v, want %v", p, least, want)
		}
	}
}

// Every byte string is a program that runs.
func FuzzProgramOf(f *testing.F) {
	f.Add([]byte{0, 0, 0, 0, 0x10, 0, 0, 0, 0x22, 1, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		if err := dotSets(noBug).Run(crdttest.Specified, crdttest.ProgramOf(b[:min(len(b), 400)])); err != nil {
			t.Error(err)
		}
	})
}
