package node_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/joinery-crdt/joinery/internal/spacestore"
	"github.com/joinery-crdt/joinery/store/memstore"
	"github.com/joinery-crdt/joinery/sync/node"
)

// A setBack is a device whose disk is set back without its noticing, while its log
// and that of its peer are truncated.
type setBack struct {
	common int  // changes that both have
	lost   int  // that only the peer has after that
	own    int  // that the device writes again under their numbers
	peer   bool // the peer truncates
	stubs  bool // and forgets what was written to
}

func writeAll(t *testing.T, n *node.Node, from, end int) {
	t.Helper()
	for i := from; i < end; i++ {
		mustUpdate(t, n.Space("s"), func(tx *node.Tx) error {
			if err := likes.Add(tx, 1); err != nil {
				return err
			}
			if err := title.Set(tx, fmt.Sprint("of ", i)); err != nil {
				return err
			}
			if i%5 == 4 {
				if err := ids.Remove(tx, i-1); err != nil {
					return err
				}
			}
			return ids.Add(tx, i)
		})
	}
}

func elementsOf(from, end int) (list []int) {
	for i := from; i < end; i++ {
		if i%5 != 3 || i == end-1 {
			list = append(list, i)
		}
	}
	return list
}

func shorten(t *testing.T, n *node.Node, stubs bool) {
	t.Helper()
	h := node.Horizon{Log: n.Space("s").Vector()}
	if stubs {
		h.Stubs = h.Log
	}
	if err := n.Space("s").Truncate(t.Context(), h); err != nil {
		t.Fatal(err)
	}
}

// play lets it happen and returns the device and its peer when they have met
// again.
func (c setBack) play(t *testing.T) (restored, peer *node.Node) {
	disk := new(memstore.Disk)
	a, b := openOn(t, disk), open(t)
	mustUpdate(t, b.Space("s"), add(-1))
	pull := cable(t, a, b)
	writeAll(t, a, 0, c.common)
	time.Sleep(2 * beat)
	shorten(t, a, true)
	backup := disk.Clone()
	writeAll(t, a, 10_000, 10_000+c.lost)
	time.Sleep(2 * beat)
	pull()
	if c.peer {
		shorten(t, b, c.stubs)
	}
	before := a.Origin()
	mustClose(t, a)
	restored = openOn(t, backup)
	writeAll(t, restored, 20_000, 20_000+c.own)
	mustUpdate(t, b.Space("s"), add(-2))
	keep(t, restored, b)
	time.Sleep(60 * beat)
	checkRenewed(t, restored, before)
	return restored, b
}

func count(t *testing.T, n *node.Node) (got int64) {
	t.Helper()
	mustView(t, n.Space("s"), func(v *node.View) (err error) {
		got, err = likes.Value(v)
		return err
	})
	return got
}

// TestSetBackWithTruncatedLog sets back a device whose log no longer holds
// everything: both what it had written and what it writes then are kept, counts
// included.
func TestSetBackWithTruncatedLog(t *testing.T) {
	for _, c := range []setBack{
		{common: 30, lost: 5, own: 5},
		{common: 30, lost: 5, own: 5, peer: true},
		{common: 30, lost: 5, own: 5, peer: true, stubs: true},
		{common: 30, lost: 5, own: 0, peer: true, stubs: true},
		{common: 30, lost: 2, own: 7, peer: true, stubs: true},
		{common: 0, lost: 5, own: 5, peer: true, stubs: true},
		{common: 1, lost: 40, own: 15, peer: true, stubs: true},
	} {
		t.Run(fmt.Sprintf("%+v", c), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				restored, peer := c.play(t)
				want := append([]int{-2, -1}, elementsOf(0, c.common)...)
				want = append(append(want, elementsOf(10_000, 10_000+c.lost)...), elementsOf(20_000, 20_000+c.own)...)
				checkHas(t, want, restored, peer)
				for i, n := range []*node.Node{restored, peer} {
					if got, want := count(t, n), int64(c.common+c.lost+c.own); got != want {
						t.Errorf("node %d counts %d, want %d", i, got, want)
					}
					checkSound(t, n, "s")
				}
				if got := problems(peer); len(got) != 0 {
					t.Errorf("problems = %v at the peer, want none", got)
				}
			})
		})
	}
}

// TestSetBackBeyondWhatIsRemembered sets a device back by more than its peer still
// knows the hashes of: nothing is lost, and the status says what nobody can tell.
func TestSetBackBeyondWhatIsRemembered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := setBack{common: 3, lost: spacestore.KeptHashes + 20, own: 5, peer: true, stubs: true}
		restored, peer := c.play(t)
		want := append([]int{-2, -1}, elementsOf(0, c.common)...)
		want = append(append(want, elementsOf(10_000, 10_000+c.lost)...), elementsOf(20_000, 20_000+c.own)...)
		checkHas(t, want, restored, peer)
		if got := causeOf(restored, "new_origin"); !strings.Contains(got, "changes 4 to 8 already") {
			t.Errorf("new_origin: %q, want which changes the peer may have already", got)
		}
	})
}
