package node_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/joinery-crdt/joinery/merge"
	"github.com/joinery-crdt/joinery/store"
	"github.com/joinery-crdt/joinery/store/memstore"
	"github.com/joinery-crdt/joinery/sync/node"
)

var errDisk = errors.New("disk: error at this operation")

// after returns a hook that fails at its k-th call, counted from 0, and only
// then.
func after(k int) func() error {
	return func() error {
		if k--; k == -1 {
			return errDisk
		}
		return nil
	}
}

func always(err error) func() error { return func() error { return err } }

// export returns a drop file of what the cut selects.
func export(t testing.TB, s *node.Space, cut node.Cut) []byte {
	t.Helper()
	var file bytes.Buffer
	if _, err := s.Export(t.Context(), &file, cut); err != nil {
		t.Fatal(err)
	}
	return file.Bytes()
}

func TestUnavailableStoreIsSaid(t *testing.T) {
	m := meddle(memstore.New())
	n := openConfig(t, node.Config{Store: m})
	m.set(hooks{health: always(errDisk)})
	if got := n.Status().Problems; len(got) != 1 || got[0].Code != "store_unavailable" || got[0].Cause != errDisk.Error() || got[0].Action == "" {
		t.Errorf("problems = %+v, want store_unavailable", got)
	}
	m.set(hooks{})
	if got := problems(n); len(got) != 0 {
		t.Errorf("problems = %v of a store that is back, want none", got)
	}
}

func TestRefusingStoreAnswersEveryWriter(t *testing.T) {
	for name, h := range map[string]hooks{
		"before the function": {begin: always(errDisk)},
		"at the commit":       {commit: always(errDisk)},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := meddle(memstore.New())
				n := openConfig(t, node.Config{Store: m})
				s := n.Space("s")
				mustUpdate(t, s, add(100))
				release := occupy(t, n)
				m.set(h)
				var wg sync.WaitGroup
				for i := range 10 {
					wg.Go(func() {
						if err := s.Update(t.Context(), add(i)); !errors.Is(err, errDisk) {
							t.Errorf("Update = %v, want the store's error", err)
						}
					})
				}
				synctest.Wait()
				release()
				wg.Wait()
				if got := problems(n); !slices.Equal(got, []string{"store_error"}) {
					t.Errorf("problems = %v, want store_error", got)
				}
				m.set(hooks{})
				mustUpdate(t, s, add(101))
				if got := problems(n); len(got) != 0 {
					t.Errorf("problems = %v after a commit that succeeded, want none", got)
				}
				if got := idsOf(t, s); !slices.Equal(got, []int{100, 101}) {
					t.Errorf("ids = %v, want what was acknowledged", got)
				}
				checkSound(t, n, "s")
			})
		})
	}
}

// TestUncertainStoreTakesNoMore has a flush fail, with the data on the disk or
// not: the node cannot know.
func TestUncertainStoreTakesNoMore(t *testing.T) {
	uncertain := always(fmt.Errorf("%w: EIO", store.ErrUncertain))
	for name, tc := range map[string]struct {
		h    hooks
		want []int
	}{
		"data lost": {hooks{commit: uncertain}, []int{1}},
		"data kept": {hooks{done: uncertain}, []int{1, 2}},
	} {
		t.Run(name, func(t *testing.T) {
			disk := new(memstore.Disk)
			m := meddle(on(t, disk))
			n := openConfig(t, node.Config{Store: m})
			s := n.Space("s")
			mustUpdate(t, s, add(1))
			events := take(t, s)
			m.set(tc.h)
			if err := s.Update(t.Context(), add(2)); !errors.Is(err, store.ErrUncertain) {
				t.Errorf("Update = %v, want ErrUncertain", err)
			}
			m.set(hooks{})
			asked := m.updates.Load()
			if err := s.Update(t.Context(), add(3)); !errors.Is(err, store.ErrUncertain) {
				t.Errorf("Update after an uncertain one = %v, want ErrUncertain", err)
			}
			if got := m.updates.Load(); got != asked {
				t.Error("the node wrote to a store that cannot tell what it holds")
			}
			if got := problems(n); !slices.Equal(got, []string{"store_failed"}) {
				t.Errorf("problems = %v, want store_failed", got)
			}
			if got := s.Summary().Changes; got != 1 {
				t.Errorf("%d changes shown, want the acknowledged one", got)
			}
			n.Close()
			if got := events(); len(got) != 0 {
				t.Errorf("events = %v of changes that were never acknowledged", got)
			}
			again := openOn(t, disk)
			mustUpdate(t, again.Space("s"), add(4))
			if got := idsOf(t, again.Space("s")); !slices.Equal(got, append(tc.want, 4)) {
				t.Errorf("after reopening ids = %v, want %v and 4", got, tc.want)
			}
			checkSound(t, again, "s")
		})
	}
}

// TestErrorAtEveryOperation runs a workload and lets one operation of the store
// fail, each in its turn. What failed is done again.
func TestErrorAtEveryOperation(t *testing.T) {
	parts := earlyParts(t)
	reference := open(t)
	runParts(t, reference, parts)
	want := reference.Space("s").Summary()
	for k := 0; ; k++ {
		disk := new(memstore.Disk)
		m := meddle(on(t, disk))
		n := openConfig(t, node.Config{Store: m, NewOrigin: reference.Origin})
		fail := after(k)
		failed := false
		m.set(hooks{op: func() error {
			err := fail()
			failed = failed || err != nil
			return err
		}})
		runParts(t, n, parts)
		m.set(hooks{})
		check := func(n *node.Node) {
			t.Helper()
			got := n.Space("s").Summary()
			if got.Cells != want.Cells || got.Applied != want.Applied {
				t.Fatalf("error at operation %d: the space differs from the one without", k)
			}
			checkSound(t, n, "s")
			if got := n.Status(); len(got.Problems) != 0 {
				t.Errorf("error at operation %d: problems %+v", k, got.Problems)
			}
		}
		check(n)
		check(reopen(t, n, disk))
		if !failed {
			t.Logf("%d operations", k)
			return
		}
	}
}

// earlyParts returns drop files of one history, the later changes first.
func earlyParts(t *testing.T) (parts [][]byte) {
	t.Helper()
	from := openConfig(t, node.Config{Store: memstore.New(), NewOrigin: origin(7)})
	s := from.Space("s")
	since := s.Vector()
	for i := range 3 {
		for j := range 4 {
			mustUpdate(t, s, add(100+i, 200+i*10+j))
			mustUpdate(t, s, func(tx *node.Tx) error { return likes.Add(tx, int64(i+1)) })
		}
		parts = append([][]byte{export(t, s, node.Cut{Since: since})}, parts...)
		since = s.Vector()
	}
	return parts
}

// runParts does everything until it succeeds.
func runParts(t *testing.T, n *node.Node, parts [][]byte) {
	t.Helper()
	s := n.Space("s")
	update := func(fn func(*node.Tx) error) {
		t.Helper()
		if err := s.Update(t.Context(), fn); err != nil {
			mustUpdate(t, s, fn)
		}
	}
	update(add(1, 2, 3))
	for range 3 { // an error may cost changes that wait, which is said
		for _, part := range parts {
			_, err := n.Import(t.Context(), bytes.NewReader(part))
			if err != nil && !errors.Is(err, errDisk) && !errors.Is(err, node.ErrIncomplete) {
				t.Fatal(err)
			}
		}
		if got := n.Status().Spaces[0]; got.Waiting == 0 && got.Changes == 25 {
			break
		}
	}
	update(func(tx *node.Tx) error { return errors.Join(ids.Remove(tx, 2), likes.Reset(tx)) })
	update(add(4))
}

func reopen(t *testing.T, n *node.Node, disk *memstore.Disk) *node.Node {
	t.Helper()
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	return openOn(t, disk)
}

// origin returns a fixed identity.
func origin(b byte) func() merge.Origin {
	return func() merge.Origin { return merge.Origin{b} }
}

// TestUnreadableCellHoldsBackOneOrigin damages a cell that one peer writes to:
// others flow, the status names the place, and mending it mends all.
func TestUnreadableCellHoldsBackOneOrigin(t *testing.T) {
	m := meddle(memstore.New())
	n := openConfig(t, node.Config{Store: m})
	bad, good := open(t), open(t)
	mustUpdate(t, bad.Space("s"), add(1))
	mustUpdate(t, good.Space("s"), func(tx *node.Tx) error { return likes.Add(tx, 5) })

	damage := &store.CorruptError{Space: "s", Table: store.Cells, Offset: 77, Err: errors.New("checksum")}
	reads := 0
	m.set(hooks{op: func() error {
		if reads++; reads == 1 {
			return damage
		}
		return nil
	}})
	report, err := n.Import(t.Context(), bytes.NewReader(export(t, bad.Space("s"), node.Cut{})))
	if err != nil || report.Refused != 1 || report.Reason != damage.Error() {
		t.Errorf("Import = %+v, %v; want one change refused for %v", report, err, damage)
	}
	if got := n.Status().Problems; len(got) != 1 || got[0].Code != "store_error" || got[0].Space != "s" {
		t.Errorf("problems = %+v, want store_error in s", got)
	}
	for _, from := range []*node.Node{good, bad} {
		if report, err := n.Import(t.Context(), bytes.NewReader(export(t, from.Space("s"), node.Cut{}))); err != nil || report.Applied != 1 {
			t.Errorf("Import = %+v, %v; want it applied", report, err)
		}
	}
	if got := problems(n); len(got) != 0 {
		t.Errorf("problems = %v once the cell can be read, want none", got)
	}
	checkSound(t, n, "s")
}

// TestFailedImportCountsNothing: a report counts what is durable.
func TestFailedImportCountsNothing(t *testing.T) {
	from := open(t)
	for i := range 5 {
		mustUpdate(t, from.Space("s"), add(i))
	}
	m := meddle(memstore.New())
	n := openConfig(t, node.Config{Store: m})
	m.set(hooks{commit: always(errDisk)})
	file := export(t, from.Space("s"), node.Cut{})
	report, err := n.Import(t.Context(), bytes.NewReader(file))
	if !errors.Is(err, errDisk) || report.Applied != 0 {
		t.Errorf("Import = %+v, %v; want nothing applied and the store's error", report, err)
	}
	m.set(hooks{})
	if report, err = n.Import(t.Context(), bytes.NewReader(file)); err != nil || report.Applied != 5 {
		t.Errorf("second Import = %+v, %v; want all applied", report, err)
	}
}

// TestStoreErrorKeepsTheWaitingRoom: what waits is there for the next try.
func TestStoreErrorKeepsTheWaitingRoom(t *testing.T) {
	parts := earlyParts(t)
	m := meddle(memstore.New())
	n := openConfig(t, node.Config{Store: m})
	for _, part := range parts[:2] {
		if _, err := n.Import(t.Context(), bytes.NewReader(part)); !errors.Is(err, node.ErrIncomplete) {
			t.Fatalf("Import = %v, want ErrIncomplete", err)
		}
	}
	waiting := n.Status().Spaces[0].Waiting
	m.set(hooks{commit: always(errDisk)})
	n.Import(t.Context(), bytes.NewReader(parts[2]))
	if got := n.Status().Spaces[0].Waiting; got != waiting {
		t.Errorf("%d changes wait after an error, %d before", got, waiting)
	}
	m.set(hooks{})
	if _, err := n.Import(t.Context(), bytes.NewReader(parts[2])); err != nil {
		t.Fatal(err)
	}
	if got := n.Status().Spaces[0]; got.Waiting != 0 || got.Changes != 24 {
		t.Errorf("space = %+v, want all 24 changes", got)
	}
}
