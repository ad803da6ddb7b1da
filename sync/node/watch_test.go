package node_test

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/joinery-crdt/joinery/crdt"
	"github.com/joinery-crdt/joinery/crdt/object"
	"github.com/joinery-crdt/joinery/merge"
	"github.com/joinery-crdt/joinery/store/memstore"
	"github.com/joinery-crdt/joinery/sync/node"
)

// take watches a space; the function it returns waits until the node is closed
// and returns all events.
func take(t *testing.T, s *node.Space) func() []node.Event {
	t.Helper()
	watch := s.Watch(context.Background(), nil)
	return func() (events []node.Event) {
		for ev, err := range watch {
			if err != nil {
				if !errors.Is(err, node.ErrClosed) {
					t.Errorf("Watch ended with %v, want ErrClosed", err)
				}
				return events
			}
			events = append(events, ev)
		}
		t.Error("Watch ended without an error")
		return events
	}
}

// TestWatchSeesEachChangeOnceInOrder watches random writes of several writers
// and imports, with watchers that begin at different times.
func TestWatchSeesEachChangeOnceInOrder(t *testing.T) {
	n, peer := open(t), open(t)
	s := n.Space("s")
	var watchers []func() []node.Event
	var begun []uint64 // changes applied when each began
	for round := range 5 {
		watchers, begun = append(watchers, take(t, s)), append(begun, s.Summary().Changes)
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() { mustUpdate(t, s, add(100*round+i, -1-100*round-i)) })
		}
		wg.Go(func() {
			for i := range 5 {
				mustUpdate(t, peer.Space("s"), add(10_000+100*round+i))
			}
			mustImport(t, n, export(t, peer.Space("s"), node.Cut{}))
		})
		wg.Wait()
	}
	want := s.Vector()
	changes := s.Summary().Changes
	n.Close()
	for i, events := range watchers {
		next := map[merge.Origin]uint64{}
		seen := map[merge.Dot]int{}
		for _, ev := range events() {
			if seen[ev.Dot]++; seen[ev.Dot] == 1 {
				if last := next[ev.Dot.Origin]; last != 0 && ev.Dot.Seq != last+1 {
					t.Errorf("watcher %d: %s after number %d", i, ev.Dot, last)
				}
				next[ev.Dot.Origin] = ev.Dot.Seq
			}
			if ev.Local != (ev.Dot.Origin == n.Origin()) || ev.Object != ids.Object() || ev.After == nil || ev.Conflict != nil {
				t.Errorf("watcher %d: event %+v", i, ev)
			}
		}
		for dot, cells := range seen {
			if local := dot.Origin == n.Origin(); cells != map[bool]int{true: 2, false: 1}[local] {
				t.Errorf("watcher %d: %d events of %s", i, cells, dot)
			}
		}
		if got := uint64(len(seen)); got != changes-begun[i] {
			t.Errorf("watcher %d saw %d changes, want %d", i, got, changes-begun[i])
		}
		for d := range want.Heads() {
			if next[d.Origin] != d.Seq {
				t.Errorf("watcher %d saw %s/%d last, want %d", i, d.Origin, next[d.Origin], d.Seq)
			}
		}
	}
}

// TestWatchBeginsWithTheCall begins to watch while a change is under way: it is
// not durable yet, so the watcher must see it.
func TestWatchBeginsWithTheCall(t *testing.T) {
	for _, at := range []string{"inside", "at the commit"} {
		m := meddle(memstore.New())
		n := openConfig(t, node.Config{Store: m})
		s := n.Space("s")
		var events func() []node.Event
		begin := sync.OnceFunc(func() { events = take(t, s) })
		m.set(hooks{commit: func() error { begin(); return nil }})
		mustUpdate(t, s, func(tx *node.Tx) error {
			if at == "inside" {
				begin()
			}
			return ids.Add(tx, 1)
		})
		n.Close()
		if got := len(events()); got != 1 {
			t.Errorf("begun %s: %d events, want the change that became durable afterwards", at, got)
		}
	}
}

func TestNoEventBeforeItIsDurable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := meddle(memstore.New())
		n := openConfig(t, node.Config{Store: m})
		s := n.Space("s")
		arrived := 0
		watch := s.Watch(t.Context(), nil)
		go func() {
			for range watch {
				arrived++
			}
		}()
		m.set(hooks{commit: func() error {
			synctest.Wait()
			if arrived != 0 {
				t.Errorf("%d events before the commit", arrived)
			}
			if got := s.Vector().Len(); got != 0 {
				t.Error("the vector contains a change before it is durable")
			}
			return nil
		}})
		mustUpdate(t, s, add(1))
		synctest.Wait()
		if arrived != 1 {
			t.Errorf("%d events after the commit, want 1", arrived)
		}
		m.set(hooks{commit: always(errDisk)})
		s.Update(t.Context(), add(2))
		synctest.Wait()
		if arrived != 1 {
			t.Errorf("%d events after a commit that failed, want still 1", arrived)
		}
		n.Close()
	})
}

// TestCloseDeliversTheLastEvents closes the node while a commit is under way.
func TestCloseDeliversTheLastEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := meddle(memstore.New())
		n := openConfig(t, node.Config{Store: m})
		s := n.Space("s")
		events := take(t, s)
		var got []node.Event
		var wg sync.WaitGroup
		wg.Go(func() { got = events() })
		m.set(hooks{commit: func() error {
			wg.Go(func() { n.Close() })
			synctest.Wait()
			return nil
		}})
		mustUpdate(t, s, add(1))
		wg.Wait()
		if len(got) != 1 {
			t.Errorf("%d events, want the change that was acknowledged during Close", len(got))
		}
	})
}

// conflictOf applies b's change at a and returns the conflict that a reports.
func conflictOf(t *testing.T, a, b *node.Node) *node.Conflict {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	watch := a.Space("s").Watch(ctx, nil)
	mustImport(t, a, export(t, b.Space("s"), node.Cut{Since: a.Space("s").Vector()}))
	for ev, err := range watch {
		if err != nil || ev.Local {
			t.Fatalf("event %+v, %v", ev, err)
		}
		return ev.Conflict
	}
	return nil
}

func TestConflictsAreReportedBothWays(t *testing.T) {
	value := func(s string) []byte {
		b, err := crdt.EncodeValue(s)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	field := func(tx object.Tx, v string) error { return node.LWWMap[string, string]("settings").Set(tx, "theme", v) }
	for name, set := range map[string]func(tx object.Tx, v string) error{"lww": title.Set, "mvregister": drafts.Set, "lwwmap": field} {
		at := func(ms int64) *node.Node {
			return openConfig(t, node.Config{Store: memstore.New(), Now: func() time.Time { return time.UnixMilli(ms) }})
		}
		early, late := at(1000), at(2000)
		write := func(n *node.Node, v string) merge.Dot {
			mustUpdate(t, n.Space("s"), func(tx *node.Tx) error { return set(tx, v) })
			return merge.Dot{Origin: n.Origin(), Seq: n.Space("s").Vector().Get(n.Origin())}
		}
		e, l := write(early, "early"), write(late, "late")
		atEarly, atLate := conflictOf(t, early, late), conflictOf(t, late, early)
		want := []*node.Conflict{
			{Kept: l, Other: e, KeptValue: value("late"), OtherValue: value("early")},
			{Kept: l, Other: e, KeptValue: value("late"), OtherValue: value("early")},
		}
		if name == "mvregister" { // both are kept; the one that came is named first
			want[1] = &node.Conflict{Kept: e, Other: l, KeptValue: value("early"), OtherValue: value("late")}
		}
		if !reflect.DeepEqual([]*node.Conflict{atEarly, atLate}, want) {
			t.Errorf("%s: conflicts %+v and %+v, want %+v and %+v", name, atEarly, atLate, want[0], want[1])
		}
		write(early, "resolved")
		if got := conflictOf(t, late, early); got != nil {
			t.Errorf("%s: conflict %+v of a write that had seen both", name, got)
		}
		write(late, "again")
		if got := conflictOf(t, early, late); got != nil {
			t.Errorf("%s: conflict %+v of a write after another", name, got)
		}
	}
}

func TestSlowWatcherIsToldThatItLagged(t *testing.T) {
	n := open(t)
	s := n.Space("s")
	slow, narrow := s.Watch(t.Context(), nil), s.Watch(t.Context(), node.Only(title.Object()))
	mustUpdate(t, s, func(tx *node.Tx) error { return title.Set(tx, "x") })
	for i := range 10 {
		mustUpdate(t, s, func(tx *node.Tx) error {
			for j := range 1000 {
				ids.Add(tx, 1000*i+j)
			}
			return nil
		})
	}
	var last error
	events := 0
	for _, err := range slow {
		if last = err; err == nil {
			events++
		}
	}
	if !errors.Is(last, node.ErrLagged) || events == 0 || events >= 10_000 {
		t.Errorf("Watch ended with %v after %d events, want ErrLagged and those before the gap", last, events)
	}
	for ev, err := range narrow {
		if err != nil || ev.Object != title.Object() {
			t.Errorf("event %+v, %v; want the title's: others do not count", ev, err)
		}
		break
	}
	for _, err := range narrow {
		if !errors.Is(err, node.ErrLagged) {
			t.Errorf("a second loop yields %v, want ErrLagged", err)
		}
	}
}

func TestFilters(t *testing.T) {
	n := open(t)
	s := n.Space("s")
	for name, tc := range map[string]struct {
		filter node.Filter
		want   []string
	}{
		"nil":    {nil, []string{"likes", "tag", "tags", "title"}},
		"prefix": {node.Prefix("tag"), []string{"tag", "tags"}},
		"only":   {node.Only(tags.Object(), title.Object(), node.Object{Key: "tag", Kind: "lww"}), []string{"tags", "title"}},
		"none":   {node.Only(), nil},
	} {
		ctx, cancel := context.WithCancel(t.Context())
		watch := s.Watch(ctx, tc.filter)
		mustUpdate(t, s, func(tx *node.Tx) error {
			return errors.Join(tags.Add(tx, name), node.ORSet[string]("tag").Add(tx, name), title.Set(tx, name), likes.Add(tx, 1))
		})
		cancel()
		var got []string
		for ev, err := range watch {
			if err == nil {
				got = append(got, ev.Object.Key)
			} else if !errors.Is(err, context.Canceled) {
				t.Errorf("%s: Watch ended with %v, want the context's error", name, err)
			}
		}
		if !slices.Equal(got, tc.want) {
			t.Errorf("%s: events of %v, want %v", name, got, tc.want)
		}
	}
}

// registrations is a context that counts what waits for its end.
type registrations struct {
	context.Context
	done chan struct{}
	n    atomic.Int64
}

func (r *registrations) Done() <-chan struct{} { return r.done }

func (r *registrations) AfterFunc(f func()) (stop func() bool) {
	r.n.Add(1)
	return func() bool {
		r.n.Add(-1)
		return true
	}
}

// TestEndedWatchLeavesNothing ends watches in every way; neither the node nor
// the context keeps anything of them, and the committer asks no filter.
func TestEndedWatchLeavesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := open(t)
		s := n.Space("s")
		asked := 0
		filter := func(node.Object) bool { asked++; return true }
		long := &registrations{Context: t.Context(), done: make(chan struct{})}
		for range s.Watch(ended(t), filter) {
		}
		s.Watch(ended(t), filter) // never iterated
		watch := s.Watch(long, filter)
		mustUpdate(t, s, add(1))
		for range watch {
			break
		}
		synctest.Wait()
		asked = 0
		mustUpdate(t, s, add(2))
		if asked != 0 {
			t.Errorf("%d filters of watches that ended were asked", asked)
		}
		if got := long.n.Load(); got != 0 {
			t.Errorf("%d registrations are left with the context", got)
		}
	})
}

func ended(t *testing.T) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}

func TestWatchOfAClosedNode(t *testing.T) {
	n := open(t)
	n.Close()
	events := 0
	for _, err := range n.Space("s").Watch(t.Context(), nil) {
		if events++; !errors.Is(err, node.ErrClosed) {
			t.Errorf("Watch = %v, want ErrClosed", err)
		}
	}
	if events != 1 {
		t.Errorf("%d yields, want one error", events)
	}
}
