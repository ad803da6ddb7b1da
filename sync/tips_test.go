package sync_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/joinery-crdt/joinery/merge"
)

// TestDepsNameOnlyTips lets a change depend on others that depend on each other:
// it names those that nothing depends on, also after reopening.
func TestDepsNameOnlyTips(t *testing.T) {
	a, b, c, d := newReplica(t, 1, "s"), newReplica(t, 2, "s"), newReplica(t, 3, "s"), newReplica(t, 4, "s")
	a.author("s", put(t, "a1"))
	b.pull("s", a, 1)
	b.author("s", put(t, "b1")) // after a1
	c.author("s", put(t, "c1"))
	a.author("s", put(t, "a2")) // beside b1
	steps := []struct {
		before func()
		want   []merge.Dot
	}{
		{func() { d.pull("s", a, 1); d.pull("s", b, 1); d.pull("s", c, 1) }, []merge.Dot{dotOf(2, 1), dotOf(3, 1)}},
		{func() { d.pull("s", a, 1) }, []merge.Dot{dotOf(1, 2)}},
		{func() {}, nil},
	}
	for i, step := range steps {
		step.before()
		d.reopen("s")
		if got := d.author("s", put(t, fmt.Sprint("d", i))).Deps; !slices.Equal(got, step.want) {
			t.Errorf("change %d depends on %v, want %v", i+1, got, step.want)
		}
	}
}
