package op_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/joinery-crdt/joinery/crdt/op"
	"github.com/joinery-crdt/joinery/merge"
)

// watched returns a mailbox of a, and what has become stable in it.
func watched(cfg op.DeliveryConfig[letter]) (*mailbox, *[]merge.Dot) {
	var stable []merge.Dot
	cfg.Self, cfg.Stable = a, func(d merge.Dot) { stable = append(stable, d) }
	return newMailbox(cfg), &stable
}

// TestStability: a message is stable when all members have it, not before.
func TestStability(t *testing.T) {
	at, stable := watched(op.DeliveryConfig[letter]{Members: []merge.Origin{a, b, c}, Retain: true})
	at.send()
	at.send()
	for i, step := range []struct {
		from   merge.Origin
		has    uint64
		stable []merge.Dot
	}{
		{b, 2, nil},
		{c, 1, []merge.Dot{dot(a, 1)}},
		{c, 1, []merge.Dot{dot(a, 1)}},
		{b, 1, []merge.Dot{dot(a, 1)}},
		{c, 2, []merge.Dot{dot(a, 1), dot(a, 2)}},
	} {
		if err := at.Acknowledge(step.from, merge.VectorOf(dot(a, step.has))); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(*stable, step.stable) {
			t.Errorf("after step %d stable are %v, want %v", i, *stable, step.stable)
		}
		retained := 0
		for range at.Resend(&merge.VersionVector{}) {
			retained++
		}
		if want := 2 - len(step.stable); retained != want {
			t.Errorf("after step %d %d are retained, want %d", i, retained, want)
		}
	}
	if got := at.Stable(); !got.Equal(merge.VectorOf(dot(a, 2))) {
		t.Errorf("Stable = %v", got.Sorted())
	}
}

// TestBlockedByNamed: one silent member blocks stability, and is named until it
// speaks or is retired.
func TestBlockedByNamed(t *testing.T) {
	at, stable := watched(op.DeliveryConfig[letter]{Members: []merge.Origin{b, c}})
	d := at.send().header.Dot
	if got, want := at.Blocking(d), []merge.Origin{b, c}; !slices.Equal(got, want) {
		t.Errorf("blocked by %v, want %v", got, want)
	}
	at.Acknowledge(b, merge.VectorOf(d))
	if got, want := at.Blocking(d), []merge.Origin{c}; !slices.Equal(got, want) || len(*stable) != 0 {
		t.Errorf("blocked by %v, want %v; stable are %v", got, want, *stable)
	}
	if got, want := at.Blocking(dot(b, 1)), []merge.Origin{a, b, c}; !slices.Equal(got, want) {
		t.Errorf("a message not delivered is blocked by %v, want %v", got, want)
	}
	at.Retire(c)
	if got := at.Blocking(d); len(got) != 0 || len(*stable) != 1 {
		t.Errorf("after c has retired: blocked by %v, stable are %v", got, *stable)
	}
	at.Admit(c)
	next := at.send().header.Dot
	at.Acknowledge(b, merge.VectorOf(next))
	if got, want := at.Blocking(next), []merge.Origin{c}; !slices.Equal(got, want) || len(*stable) != 1 {
		t.Errorf("after c has come back: blocked by %v, want %v; stable are %v", got, want, *stable)
	}
}

// TestMessagesAcknowledge: whoever answers has what he answers to.
func TestMessagesAcknowledge(t *testing.T) {
	at, stable := watched(op.DeliveryConfig[letter]{Members: []merge.Origin{b}})
	other := newMailbox(op.DeliveryConfig[letter]{Self: b})
	other.receive(at.send())
	if _, err := at.receive(other.send()); err != nil {
		t.Fatal(err)
	}
	if want := []merge.Dot{dot(a, 1), dot(b, 1)}; !slices.Equal(*stable, want) {
		t.Errorf("stable are %v, want %v", *stable, want)
	}
}

// TestAcknowledgedAhead: what everybody else has becomes stable when it is
// delivered here.
func TestAcknowledgedAhead(t *testing.T) {
	at, stable := watched(op.DeliveryConfig[letter]{Members: []merge.Origin{b, c}})
	other := newMailbox(op.DeliveryConfig[letter]{Self: b})
	l := other.send()
	at.Acknowledge(b, other.Vector())
	at.Acknowledge(c, other.Vector())
	if len(*stable) != 0 {
		t.Errorf("stable are %v before they are here", *stable)
	}
	at.receive(l)
	if want := []merge.Dot{dot(b, 1)}; !slices.Equal(*stable, want) {
		t.Errorf("stable are %v, want %v", *stable, want)
	}
}

func TestMembers(t *testing.T) {
	at, _ := watched(op.DeliveryConfig[letter]{Members: []merge.Origin{b}})
	err := at.Acknowledge(c, merge.VectorOf(dot(c, 1)))
	if e, ok := errors.AsType[*op.StrangerError](err); !ok || e.Origin != c || !errors.Is(err, op.ErrStranger) {
		t.Errorf("a stranger's acknowledgement = %v, want a StrangerError", err)
	}
	learning, stable := watched(op.DeliveryConfig[letter]{Learn: true})
	learning.Acknowledge(c, &merge.VersionVector{})
	other := newMailbox(op.DeliveryConfig[letter]{Self: b})
	learning.receive(other.send())
	if got, want := learning.Members(), []merge.Origin{b, c}; !slices.Equal(got, want) || len(*stable) != 0 {
		t.Errorf("members %v, want %v; stable are %v", got, want, *stable)
	}
	alone := newMailbox(op.DeliveryConfig[letter]{Self: a})
	alone.send()
	if err := alone.Acknowledge(b, alone.Vector()); !errors.Is(err, op.ErrStranger) || alone.Stable().Len() != 0 {
		t.Errorf("without members: %v, stable %v", err, alone.Stable().Sorted())
	}
}

// TestResend repairs a peer that has lost everything.
func TestResend(t *testing.T) {
	at, _ := watched(op.DeliveryConfig[letter]{Members: []merge.Origin{b, c}, Retain: true})
	other := newMailbox(op.DeliveryConfig[letter]{Self: b})
	at.send()
	at.receive(other.send())
	at.send()
	to := newMailbox(op.DeliveryConfig[letter]{Self: c})
	for h, l := range at.Resend(to.Vector()) {
		if _, err := to.Receive(h, l); err != nil {
			t.Fatal(err)
		}
	}
	if !to.Vector().Equal(at.Vector()) || to.Held() != 0 {
		t.Errorf("the peer has %v, want %v", to.Vector().Sorted(), at.Vector().Sorted())
	}
}
