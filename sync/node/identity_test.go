package node_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/joinery-crdt/joinery/merge"
	"github.com/joinery-crdt/joinery/store"
	"github.com/joinery-crdt/joinery/store/boltstore"
	"github.com/joinery-crdt/joinery/store/memstore"
	"github.com/joinery-crdt/joinery/sync/node"
)

// openDir starts a node on a directory, as after a restart of the machine.
func openDir(t *testing.T, dir string) *node.Node {
	t.Helper()
	s, err := boltstore.Open(dir, boltstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return openConfig(t, node.Config{Store: s})
}

func closeNode(t *testing.T, n *node.Node) {
	t.Helper()
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
}

// copyDir replaces what is in a directory by what is in another.
func copyDir(t *testing.T, to, from string) {
	t.Helper()
	if err := errors.Join(os.RemoveAll(to), os.CopyFS(to, os.DirFS(from))); err != nil {
		t.Fatal(err)
	}
}

// exchange brings each of the nodes what the others have.
func exchange(t *testing.T, nodes ...*node.Node) {
	t.Helper()
	for _, from := range nodes {
		file := export(t, from.Space("s"), node.Cut{})
		for _, to := range nodes {
			if report, err := to.Import(t.Context(), bytes.NewReader(file)); err != nil || report.Refused > 0 {
				t.Fatalf("Import = %+v, %v", report, err)
			}
		}
	}
}

// checkHas demands the elements, and the same bytes, of all nodes.
func checkHas(t *testing.T, want []int, nodes ...*node.Node) {
	t.Helper()
	for i, n := range nodes {
		if got := idsOf(t, n.Space("s")); !slices.Equal(got, want) {
			t.Errorf("node %d has %v, want %v", i, got, want)
		}
	}
	checkEqual(t, "s", nodes...)
}

func TestRestoreFromBackup(t *testing.T) {
	dir, backup := filepath.Join(t.TempDir(), "a"), filepath.Join(t.TempDir(), "backup")
	a, b := openDir(t, dir), open(t)
	mustUpdate(t, a.Space("s"), add(1))
	closeNode(t, a)
	copyDir(t, backup, dir)

	a = openDir(t, dir)
	before := a.Origin()
	mustUpdate(t, a.Space("s"), add(2))
	exchange(t, a, b)
	closeNode(t, a)

	copyDir(t, dir, backup)
	a = openDir(t, dir)
	if a.Origin() == before {
		t.Fatal("the restored node writes under the origin it had")
	}
	mustUpdate(t, a.Space("s"), add(3))
	exchange(t, a, b)
	checkHas(t, []int{1, 2, 3}, a, b)
}

func TestClonedDataDir(t *testing.T) {
	dir, clone := filepath.Join(t.TempDir(), "a"), filepath.Join(t.TempDir(), "clone")
	a, b := openDir(t, dir), open(t)
	mustUpdate(t, a.Space("s"), add(1))
	origin := a.Origin()
	closeNode(t, a)
	copyDir(t, clone, dir)

	a, c := openDir(t, dir), openDir(t, clone)
	if a.Origin() != origin {
		t.Error("the original took a new origin")
	}
	if c.Origin() == origin {
		t.Fatal("both write under one origin")
	}
	mustUpdate(t, a.Space("s"), add(2))
	mustUpdate(t, c.Space("s"), add(3))
	exchange(t, a, b)
	exchange(t, c, b)
	exchange(t, a, b)
	checkHas(t, []int{1, 2, 3}, a, b, c)
}

// TestRestartSlot wipes the store of a node that counted.
func TestRestartSlot(t *testing.T) {
	a, b := open(t), open(t)
	count := func(n *node.Node, by int64) {
		mustUpdate(t, n.Space("s"), func(tx *node.Tx) error { return likes.Add(tx, by) })
	}
	count(a, 5)
	exchange(t, a, b)
	closeNode(t, a)
	a = open(t)
	count(a, 3)
	exchange(t, a, b)
	for _, n := range []*node.Node{a, b} {
		mustView(t, n.Space("s"), func(v *node.View) error {
			if got, err := likes.Value(v); got != 8 || err != nil {
				t.Errorf("count = %d, %v, want 8", got, err)
			}
			return nil
		})
	}
}

// TestCrashBeforeFsync loses a commit that was under way, as a machine that
// stops does. Nobody has seen its change, so that its dot can be used again.
func TestCrashBeforeFsync(t *testing.T) {
	disk := new(memstore.Disk)
	m := meddle(on(t, disk))
	a, b := openConfig(t, node.Config{Store: m}), open(t)
	s := a.Space("s")
	mustUpdate(t, s, add(1))
	var seen []merge.Dot
	for _, lost := range []int{2, 3} {
		m.set(hooks{commit: func() error { // everything is written but not flushed
			for d := range s.Vector().Heads() {
				seen = append(seen, d)
			}
			if file := export(t, s, node.Cut{}); len(file) > 0 {
				mustImport(t, b, file)
			}
			return store.ErrUncertain
		}})
		if err := s.Update(t.Context(), add(lost)); !errors.Is(err, store.ErrUncertain) {
			t.Fatalf("Update = %v, want ErrUncertain", err)
		}
		if got := idsOf(t, b.Space("s")); slices.Contains(got, lost) {
			t.Fatalf("the peer has %v: %d was sent before it was durable", got, lost)
		}
		crashed := disk.Clone()
		closeNode(t, a)
		disk = crashed
		m = meddle(on(t, disk))
		a = openConfig(t, node.Config{Store: m})
		s = a.Space("s")
	}
	for _, d := range seen {
		if d.Seq != 1 {
			t.Errorf("%v was shown before it was durable", d)
		}
	}
	mustUpdate(t, s, add(4))
	exchange(t, a, b)
	checkHas(t, []int{1, 4}, a, b)
}
