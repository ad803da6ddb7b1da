package crdt_test

import (
	"errors"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/joinery-crdt/joinery/crdt"
	"github.com/joinery-crdt/joinery/hlc"
	"github.com/joinery-crdt/joinery/merge"
)

func hlcTime(t uint64) hlc.Timestamp { return hlc.Timestamp(t) }

func add(t testing.TB, c *crdt.PNCounter, o merge.Origin, n int64) *crdt.PNCounter {
	t.Helper()
	delta, err := c.Add(o, n)
	if err != nil {
		t.Fatal(err)
	}
	return delta
}

func set[T any](t testing.TB, r *crdt.MVRegister[T], o merge.Origin, v T) *crdt.MVRegister[T] {
	t.Helper()
	delta, err := r.Set(o, v)
	if err != nil {
		t.Fatal(err)
	}
	return delta
}

func write[T any](t testing.TB, r *crdt.LWWRegister[T], at hlc.Timestamp, o merge.Origin, v T) *crdt.LWWRegister[T] {
	t.Helper()
	delta, err := r.Set(crdt.Stamp{Time: at, Origin: o}, v)
	if err != nil {
		t.Fatal(err)
	}
	return delta
}

func TestDuplicateIncrement(t *testing.T) {
	var a, b crdt.PNCounter
	first, second := add(t, &a, originA, 2), add(t, &a, originA, 3)
	for range 5 {
		b.Merge(second)
		b.Merge(first)
	}
	if got := b.Value(); got != 5 {
		t.Errorf("value %d after five deliveries of both increments, want 5", got)
	}
}

func TestCounterReset(t *testing.T) {
	var a, b crdt.PNCounter
	b.Merge(add(t, &a, originA, 5))
	add(t, &b, originB, -2)
	resetA := a.Reset()
	resetB := b.Reset()
	if a.Value() != 0 || b.Value() != 0 {
		t.Fatalf("values %d and %d after a reset, want 0", a.Value(), b.Value())
	}
	add(t, &a, originA, 1)
	add(t, &b, originB, 10)
	for _, c := range []*crdt.PNCounter{&a, &b} {
		c.Merge(resetB)
		c.Merge(resetA)
	}
	if all := mergeAll(&a, &b); all.Value() != 11 {
		t.Errorf("value %d, want the 11 that no reset has seen", all.Value())
	}
	if delta := new(crdt.PNCounter).Reset(); !delta.Equal(&crdt.PNCounter{}) {
		t.Error("resetting an empty counter says something")
	}
	a.Reset()
	if again := a.Reset(); !again.Equal(&crdt.PNCounter{}) {
		t.Error("resetting twice says something")
	}
}

func TestCounterOverflow(t *testing.T) {
	var a, b crdt.PNCounter
	add(t, &a, originA, math.MaxInt64-1)
	before := a.Clone()
	for range 2 {
		if delta, err := a.Add(originA, 2); !errors.Is(err, crdt.ErrOverflow) || delta != nil || !a.Equal(before) {
			t.Fatalf("Add over 2^63-1 = %v, %v, want ErrOverflow and no change", delta, err)
		}
	}
	if _, err := (crdt.Share{P: math.MaxUint64}).Add(1); !errors.Is(err, crdt.ErrOverflow) {
		t.Errorf("Add to a share beyond 2^63-1 = %v, want ErrOverflow", err)
	}
	add(t, &a, originA, 1)
	if _, err := b.Add(originB, math.MinInt64); !errors.Is(err, crdt.ErrOverflow) {
		t.Errorf("Add(MinInt64) = %v, want ErrOverflow", err)
	}
	add(t, &b, originB, 1)
	a.Merge(&b)
	if got := a.Value(); got != math.MaxInt64 {
		t.Errorf("value %d, want it to stay at 2^63-1", got)
	}
	add(t, &b, originB, -math.MaxInt64)
	add(t, &b, originC, -3)
	a.Merge(&b)
	if got := a.Value(); got != -2 {
		t.Errorf("value %d after going beyond and back, want the exact -2", got)
	}
	b.Merge(add(t, new(crdt.PNCounter), origin(4), -math.MaxInt64))
	if got := b.Value(); got != math.MinInt64 {
		t.Errorf("value %d, want it to stay at -2^63", got)
	}
}

func TestCounterBoundaries(t *testing.T) {
	for _, c := range []struct {
		shares []int64
		want   int64
	}{
		{nil, 0},
		{[]int64{math.MaxInt64}, math.MaxInt64},
		{[]int64{math.MaxInt64, 1}, math.MaxInt64},
		{[]int64{math.MaxInt64, math.MaxInt64, math.MaxInt64, -5}, math.MaxInt64},
		{[]int64{-math.MaxInt64}, -math.MaxInt64},
		{[]int64{-math.MaxInt64, -1}, math.MinInt64},
		{[]int64{-math.MaxInt64, -2}, math.MinInt64},
		{[]int64{-math.MaxInt64, -math.MaxInt64, -math.MaxInt64, 5}, math.MinInt64},
		{[]int64{math.MaxInt64, math.MaxInt64, -math.MaxInt64, -math.MaxInt64, -1}, -1},
	} {
		var counter crdt.PNCounter
		for i, n := range c.shares {
			add(t, &counter, origin(i), n)
		}
		if got := counter.Value(); got != c.want {
			t.Errorf("the sum of %v is %d, want %d", c.shares, got, c.want)
		}
	}
}

func TestRestartSlot(t *testing.T) {
	var peer, restarted crdt.PNCounter
	peer.Merge(add(t, &crdt.PNCounter{}, originA, 5)) // then A's state is wiped
	for range 3 {
		peer.Merge(add(t, &restarted, originB, 1)) // A counts on, under a new origin
	}
	if got := peer.Value(); got != 8 {
		t.Errorf("value %d, want 8", got)
	}
	var reused crdt.PNCounter
	reused.Merge(add(t, &crdt.PNCounter{}, originA, 5))
	reused.Merge(add(t, &crdt.PNCounter{}, originA, 3)) // the same origin again: lost, as documented
	if got := reused.Value(); got != 5 {
		t.Errorf("value %d under a reused origin, want 5", got)
	}
}

func TestLWWTie(t *testing.T) {
	var a, b, c crdt.LWWRegister[string]
	deltas := []*crdt.LWWRegister[string]{
		write(t, &a, 7, originA, "z from A"), write(t, &b, 7, originB, "y from B"), write(t, &c, 6, originC, "x from C"),
	}
	permute(deltas, len(deltas), func() {
		var direct, proxied crdt.LWWRegister[string]
		for _, d := range deltas {
			direct.Merge(d)
			hop := crdt.LWWRegister[string]{}
			hop.Merge(d)
			proxied.Merge(&hop)
		}
		got, _ := direct.Get()
		if stamp, ok := direct.Stamp(); got != "y from B" || stamp.Origin != originB || stamp.Time != 7 || !ok {
			t.Errorf("%q of %v won, want the larger origin B", got, stamp)
		}
		if !direct.Equal(&proxied) {
			t.Error("a proxy changes the winner")
		}
	})
	same := mergeAll(write(t, new(crdt.LWWRegister[string]), 7, originA, "a"), write(t, new(crdt.LWWRegister[string]), 7, originA, "b"))
	if got, _ := same.Get(); got != "b" {
		t.Errorf("%q won between equal stamps, want the larger bytes", got)
	}
}

func TestBackwardClock(t *testing.T) {
	wall := time.UnixMilli(1_700_000_000_000)
	clock, err := hlc.NewClock(hlc.Config{Now: func() time.Time { return wall }})
	if err != nil {
		t.Fatal(err)
	}
	var a, b crdt.LWWRegister[string]
	b.Merge(write(t, &a, clock.Now(), originA, "v1"))
	wall = wall.Add(-10 * time.Minute)
	b.Merge(write(t, &a, clock.Now(), originA, "v2"))
	if got, _ := b.Get(); got != "v2" {
		t.Errorf("%q won, want v2, which was written later", got)
	}
}

func TestLWWByWriteCount(t *testing.T) {
	var a, b crdt.LWWRegister[string]
	for i := range uint64(10) {
		write(t, &a, hlcTime(i+1), originA, "A")
	}
	b.Merge(&a)
	seen, _ := b.Stamp()
	a.Merge(write(t, &b, seen.Time+1, originB, "B"))
	if got, _ := a.Get(); got != "B" || !a.Equal(&b) {
		t.Errorf("%q won over the one write that saw the ten, want B", got)
	}
}

func TestLWWRefusesStaleWrites(t *testing.T) {
	var r crdt.LWWRegister[string]
	write(t, &r, 5, originB, "v")
	before := r.Clone()
	for _, s := range []crdt.Stamp{{Time: 4, Origin: originC}, {Time: 5, Origin: originA}, {Time: 5, Origin: originB}} {
		delta, err := r.Set(s, "w")
		e, ok := errors.AsType[*crdt.StaleError](err)
		if !ok || !errors.Is(err, crdt.ErrStale) || e.Stamp != s || e.Current != (crdt.Stamp{Time: 5, Origin: originB}) || delta != nil {
			t.Errorf("Set(%v) = %v, %v, want a *StaleError", s, delta, err)
		}
	}
	if !r.Equal(before) {
		t.Error("a refused write changed the register")
	}
	write(t, &r, 5, originC, "w")
}

func TestRegistersRefuseUnusableValues(t *testing.T) {
	var l crdt.LWWRegister[any]
	var m crdt.MVRegister[any]
	for _, v := range []any{make(chan int), "\xff", map[float64]int{1: 1}} {
		if delta, err := l.Set(crdt.Stamp{Time: 1}, v); !errors.Is(err, crdt.ErrValue) || delta != nil {
			t.Errorf("LWWRegister.Set(%v) = %v", v, err)
		}
		if delta, err := m.Set(originA, v); !errors.Is(err, crdt.ErrValue) || delta != nil {
			t.Errorf("MVRegister.Set(%v) = %v", v, err)
		}
	}
	var e crdt.LWWRegister[error]
	if _, err := e.Set(crdt.Stamp{Time: 1}, crdt.ErrValue); !errors.Is(err, crdt.ErrValue) {
		t.Errorf("a value that cannot be read back: %v", err)
	}
	if _, ok := l.Get(); ok || m.Len() != 0 || m.Context().Count() != 0 {
		t.Error("a refused value left something behind")
	}
}

func TestRegistersKeepNothingOfTheCaller(t *testing.T) {
	var l crdt.LWWRegister[[]int]
	var m crdt.MVRegister[[]int]
	v := []int{1, 2}
	write(t, &l, 1, originA, v)
	set(t, &m, originA, v)
	v[0] = 9
	for range 2 {
		got, _ := l.Get()
		many := slices.Collect(m.Values())
		if got[0] != 1 || many[0][0] != 1 {
			t.Errorf("the registers hold %v and %v, want 1 first", got, many)
		}
		got[0], many[0][0] = 8, 8
	}
}

func TestConflictsAreVisible(t *testing.T) {
	var a, b crdt.MVRegister[string]
	if a.Conflicted() || a.Len() != 0 {
		t.Error("the zero register holds something")
	}
	set(t, &a, originA, "left")
	set(t, &b, originB, "right")
	a.Merge(&b)
	var dots []merge.Dot
	var values []string
	for d, v := range a.All() {
		dots, values = append(dots, d), append(values, v)
	}
	if !a.Conflicted() || a.Len() != 2 || !slices.Equal(values, []string{"left", "right"}) || !slices.Equal(dots, []merge.Dot{dot(1, 1), dot(2, 1)}) {
		t.Errorf("conflict is %v at %v", values, dots)
	}
	for range a.Values() {
		break
	}
	set(t, &a, originA, "both")
	if a.Conflicted() || a.Len() != 1 {
		t.Error("a write that saw both does not end the conflict")
	}
}
