package node_test

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/joinery-crdt/joinery/store/memstore"
	crdtsync "github.com/joinery-crdt/joinery/sync"
	"github.com/joinery-crdt/joinery/sync/node"
	"github.com/joinery-crdt/joinery/sync/wire"
)

// traffic counts what crosses a connection, by type of frame.
type traffic struct {
	bytes, frames [256]atomic.Int64
}

// counted is one end of a connection, whose sent frames are counted.
type counted struct {
	wire.Conn
	*traffic
}

func (c counted) Send(ctx context.Context, frame []byte) error {
	c.bytes[frame[0]].Add(int64(len(frame)))
	c.frames[frame[0]].Add(1)
	return c.Conn.Send(ctx, frame)
}

// meet connects two nodes for a while and returns what either sent.
func meet(t *testing.T, a, b *node.Node, long time.Duration) (fromA, fromB *traffic) {
	t.Helper()
	near, far := wire.Pipe()
	fromA, fromB = &traffic{}, &traffic{}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{}, 2)
	go func() { _ = a.Serve(ctx, counted{near, fromA}); done <- struct{}{} }()
	go func() { _ = b.Serve(ctx, counted{far, fromB}); done <- struct{}{} }()
	time.Sleep(long)
	cancel()
	<-done
	<-done
	return fromA, fromB
}

func remove(elements ...int) func(tx *node.Tx) error {
	return func(tx *node.Tx) error {
		for _, e := range elements {
			if err := ids.Remove(tx, e); err != nil {
				return err
			}
		}
		return nil
	}
}

// truncate takes the whole log of a space away, and with forget the stubs too.
func truncate(t *testing.T, s *node.Space, forget bool) {
	t.Helper()
	h := node.Horizon{Log: s.Vector()}
	if forget {
		h.Stubs = s.Vector()
	}
	if err := s.Truncate(t.Context(), h); err != nil {
		t.Fatal(err)
	}
	if !s.Floor().Equal(s.Vector()) {
		t.Fatalf("the floor is %v, want %v", s.Floor().Sorted(), s.Vector().Sorted())
	}
}

func wantIDs(t *testing.T, what string, s *node.Space, want ...int) {
	t.Helper()
	if got := idsOf(t, s); !slices.Equal(got, want) {
		t.Errorf("%s: ids are %v, want %v", what, got, want)
	}
}

// rungs runs a test twice: with stubs, where cells that were written to are
// sent, and without, where all are.
func rungs(t *testing.T, test func(t *testing.T, forget bool)) {
	for name, forget := range map[string]bool{"written to since": false, "whole": true} {
		t.Run(name, func(t *testing.T) { synctest.Test(t, func(t *testing.T) { test(t, forget) }) })
	}
}

// TestGCOfflineReturn: C was away while an element was removed and the log
// truncated. It is not resurrected, and what C wrote meanwhile is kept.
func TestGCOfflineReturn(t *testing.T) {
	rungs(t, func(t *testing.T, forget bool) {
		a, c := open(t), open(t)
		notesA, notesC := a.Space("notes"), c.Space("notes")
		mustUpdate(t, notesA, add(1, 2, 3))
		meet(t, a, c, time.Minute)
		wantIDs(t, "C before", notesC, 1, 2, 3)

		mustUpdate(t, notesA, remove(2))
		mustUpdate(t, notesA, add(4))
		truncate(t, notesA, forget)
		mustUpdate(t, notesC, add(9))
		mustUpdate(t, notesC, remove(3))
		events := notesC.Watch(t.Context(), nil)
		meet(t, a, c, time.Minute)
		wantIDs(t, "A", notesA, 1, 4, 9)
		wantIDs(t, "C", notesC, 1, 4, 9)
		checkEqual(t, "notes", a, c)
		seen := 0
		for ev, err := range events {
			if err != nil || ev.Dot.Seq != 0 || ev.Object != ids.Object() {
				t.Fatalf("event %+v, %v; want one of a snapshot", ev, err)
			}
			if seen++; seen == 2 { // 2 is gone, 4 is new
				break
			}
		}
	})
}

// TestSnapshotKeepsRemovals: who joins by snapshot holds the same bytes as who
// joins by replay.
func TestSnapshotKeepsRemovals(t *testing.T) {
	rungs(t, func(t *testing.T, forget bool) {
		a, replay, late := open(t), open(t), open(t)
		notes := a.Space("notes")
		for i := range 300 {
			mustUpdate(t, notes, add(i, i+1000))
			if i%3 == 0 {
				mustUpdate(t, notes, remove(i))
			}
			mustUpdate(t, notes, func(tx *node.Tx) error { return likes.Add(tx, int64(i)) })
		}
		meet(t, a, replay, time.Minute)
		truncate(t, notes, forget)
		fromA, _ := meet(t, a, late, time.Minute)
		checkEqual(t, "notes", a, replay, late)
		if n := fromA.frames[wire.TypeChanges].Load(); n != 0 {
			t.Errorf("A sent %d frames of changes, want none", n)
		}
		mustUpdate(t, late.Space("notes"), remove(1001))
		meet(t, late, replay, time.Minute)
		checkEqual(t, "notes", late, replay)
		mustUpdate(t, replay.Space("notes"), add(7777))
		meet(t, replay, a, time.Minute)
		checkEqual(t, "notes", replay, a)
	})
}

// TestDoomstone: an element is created, removed and created again while C, which
// has seen the first, is away and the log is truncated. The new one lives.
func TestDoomstone(t *testing.T) {
	rungs(t, func(t *testing.T, forget bool) {
		a, b, c := open(t), open(t), open(t)
		mustUpdate(t, a.Space("notes"), add(1))
		meet(t, a, c, time.Minute)
		mustUpdate(t, a.Space("notes"), remove(1))
		meet(t, a, b, time.Minute)
		truncate(t, a.Space("notes"), forget)
		truncate(t, b.Space("notes"), forget)
		mustUpdate(t, a.Space("notes"), add(1))
		meet(t, b, c, time.Minute)
		wantIDs(t, "C after the removal", c.Space("notes"))
		meet(t, a, c, time.Minute)
		meet(t, a, b, time.Minute)
		wantIDs(t, "C", c.Space("notes"), 1)
		checkEqual(t, "notes", a, b, c)
	})
}

// TestTruncatedStaysOpen reopens a truncated space: it goes on where it was, and
// one that came by snapshot does too.
func TestTruncatedStaysOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk, other := &memstore.Disk{}, &memstore.Disk{}
		a, b := openOn(t, disk), openOn(t, other)
		mustUpdate(t, a.Space("notes"), add(1, 2))
		truncate(t, a.Space("notes"), true)
		meet(t, a, b, time.Minute)
		floor := a.Space("notes").Floor()
		for _, n := range []*node.Node{a, b} {
			if err := n.Close(); err != nil {
				t.Fatal(err)
			}
		}
		a, b = openOn(t, disk), openOn(t, other)
		if got := a.Space("notes").Floor(); !got.Equal(floor) {
			t.Errorf("the floor is %v after reopening, want %v", got.Sorted(), floor.Sorted())
		}
		mustUpdate(t, a.Space("notes"), add(3))
		mustUpdate(t, b.Space("notes"), remove(1))
		meet(t, a, b, time.Minute)
		wantIDs(t, "A", a.Space("notes"), 2, 3)
		checkEqual(t, "notes", a, b)
	})
}

// TestExportOfTruncated refuses a file that would have to begin with what is not
// in the log, and writes one that begins after it.
func TestExportOfTruncated(t *testing.T) {
	a := open(t)
	notes := a.Space("notes")
	mustUpdate(t, notes, add(1))
	truncate(t, notes, false)
	mustUpdate(t, notes, add(2))
	var file bytes.Buffer
	_, err := notes.Export(t.Context(), &file, node.Cut{})
	if e, ok := errors.AsType[*crdtsync.TruncatedError](err); !ok || e.Dot.Seq != 1 || !errors.Is(err, crdtsync.ErrTruncated) || file.Len() != 0 {
		t.Errorf("Export = %v after %d bytes, want a TruncatedError and nothing", err, file.Len())
	}
	if n, err := notes.Export(t.Context(), &file, node.Cut{Since: notes.Floor()}); n != 1 || err != nil {
		t.Errorf("Export since the floor = %d, %v, want 1 change", n, err)
	}
}
