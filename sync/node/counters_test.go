package node_test

import (
	"errors"
	"math"
	"testing"
	"testing/synctest"

	"github.com/joinery-crdt/joinery/crdt"
	"github.com/joinery-crdt/joinery/sync/node"
)

var (
	visits  = node.GCounter("visits")
	tickets = node.BoundedCounter("tickets")
	alarm   = node.EWFlag("alarm")
	sharing = node.DWFlag("sharing")
)

func TestCountersAndFlagsMeet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := open(t), open(t)
		mustUpdate(t, a.Space("s"), func(tx *node.Tx) error {
			tickets.Inc(tx, 10)
			tickets.Transfer(tx, b.Origin(), 4)
			visits.Add(tx, 1)
			alarm.Enable(tx)
			sharing.Enable(tx)
			return visits.Add(tx, 2)
		})
		mustUpdate(t, b.Space("s"), func(tx *node.Tx) error {
			alarm.Disable(tx)
			sharing.Disable(tx) // concurrent with the enables
			return visits.Add(tx, 4)
		})
		join(t, a, b)
		synctest.Wait()
		mustUpdate(t, b.Space("s"), func(tx *node.Tx) error {
			tickets.Dec(tx, 1)
			return tickets.Dec(tx, 2)
		})
		synctest.Wait()
		for _, n := range []*node.Node{a, b} {
			mustView(t, n.Space("s"), func(v *node.View) error {
				checkCounters(t, v)
				rights, err := tickets.Rights(v, b.Origin())
				if rights != 1 {
					t.Errorf("B has %d rights, want 1", rights)
				}
				return err
			})
		}
		checkEqual(t, "s", a, b)
		checkSound(t, a, "s")
	})
}

func checkCounters(t *testing.T, v *node.View) {
	t.Helper()
	seen, err1 := visits.Value(v)
	left, err2 := tickets.Value(v)
	on, err3 := alarm.Enabled(v)
	shared, err4 := sharing.Enabled(v)
	if err := errors.Join(err1, err2, err3, err4); err != nil || seen != 7 || left != 7 || !on || shared {
		t.Errorf("visits %d, tickets %d, alarm %t, sharing %t, %v, want 7, 7, true, false", seen, left, on, shared, err)
	}
}

func TestCountersRefuse(t *testing.T) {
	n := open(t)
	dec := func(tx *node.Tx) error {
		tickets.Inc(tx, 1)
		return tickets.Dec(tx, 2)
	}
	checkSticks(t, n, "Dec", dec, crdt.ErrRights)
	checkSticks(t, n, "Transfer", func(tx *node.Tx) error { return tickets.Transfer(tx, n.Origin(), 1) }, crdt.ErrRights)
	checkSticks(t, n, "Inc", func(tx *node.Tx) error { return tickets.Inc(tx, 1<<63) }, crdt.ErrOverflow)
	checkSticks(t, n, "Add", func(tx *node.Tx) error {
		visits.Add(tx, 1)
		return visits.Add(tx, math.MaxInt64)
	}, crdt.ErrOverflow)
}

// What changes nothing is not written.
func TestCountersWriteOnlyChanges(t *testing.T) {
	n := open(t)
	mustUpdate(t, n.Space("s"), func(tx *node.Tx) error {
		visits.Add(tx, 0)
		tickets.Inc(tx, 0)
		tickets.Dec(tx, 0)
		return alarm.Disable(tx)
	})
	if got := n.Spaces(); len(got) != 0 {
		t.Errorf("spaces = %v, want nothing written", got)
	}
}

func TestFlagsInATransaction(t *testing.T) {
	n := open(t)
	mustUpdate(t, n.Space("s"), func(tx *node.Tx) error {
		sharing.Enable(tx)
		sharing.Disable(tx)
		alarm.Enable(tx)
		alarm.Disable(tx)
		on, err := alarm.Enabled(tx)
		shared, err2 := sharing.Enabled(tx)
		if on || shared {
			t.Errorf("enabled %t and %t after both were disabled", on, shared)
		}
		return errors.Join(err, err2, sharing.Enable(tx))
	})
	mustView(t, n.Space("s"), func(v *node.View) error {
		on, err := alarm.Enabled(v)
		shared, err2 := sharing.Enabled(v)
		if on || !shared {
			t.Errorf("enabled %t and %t, want the last change of each", on, shared)
		}
		return errors.Join(err, err2)
	})
}
