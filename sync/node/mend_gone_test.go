package node_test

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/joinery-crdt/joinery/merge"
	"github.com/joinery-crdt/joinery/store/memstore"
	crdtsync "github.com/joinery-crdt/joinery/sync"
	"github.com/joinery-crdt/joinery/sync/node"
)

// TestTakenBackElsewhere lets a peer hold a branch that its author has taken back,
// for a change that is nowhere any more: both set the branch apart.
func TestTakenBackElsewhere(t *testing.T) {
	write := func(t *testing.T, n *node.Node, e int) {
		mustUpdate(t, n.Space("s"), func(tx *node.Tx) error {
			if err := likes.Add(tx, 1); err != nil {
				return err
			}
			return ids.Add(tx, e)
		})
	}
	for _, common := range []int{0, 3} {
		t.Run(fmt.Sprint("common=", common), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, b := open(t), open(t)
				var want []int
				for i := range common + 2 {
					write(t, a, i)
					want = append(want, i)
				}
				mustImport(t, b, export(t, a.Space("s"), node.Cut{}))
				before := a.Origin()
				reader := attach(t, a)
				reader.send(hello(merge.Origin{8}))
				hear[*crdtsync.Subscribe](reader)
				reader.send(&crdtsync.Subscribe{Space: "s", Vector: &merge.VersionVector{}})
				has := hear[*crdtsync.Changes](reader).Changes
				p := meetFork(t, a, "s", crdtsync.Known{Dot: merge.Dot{Origin: before, Seq: uint64(common) + 1}, Hash: crdtsync.Hash{1}})
				if common > 0 {
					answer := &crdtsync.Heads{Space: "s", N: hear[*crdtsync.Ask](p).N}
					for i, raw := range has[:common] {
						answer.Known = append(answer.Known, crdtsync.Known{Dot: merge.Dot{Origin: before, Seq: uint64(i) + 1}, Hash: sha256.Sum256(raw)})
					}
					p.send(answer)
				}
				hear[*crdtsync.Goaway](p)
				checkRenewed(t, a, before)
				keep(t, a, b)
				time.Sleep(20 * time.Second)
				checkHas(t, want, a, b)
				for _, n := range []*node.Node{a, b} {
					mustView(t, n.Space("s"), func(v *node.View) error {
						if got, err := likes.Value(v); got != int64(common)+2 || err != nil {
							t.Errorf("count = %d, %v, want %d", got, err, common+2)
						}
						return nil
					})
				}
			})
		})
	}
}

// TestBuiltOnWhatIsGone lets a node write on top of a branch that it takes back
// later, for a change that is nowhere any more: what it wrote flows all the same.
func TestBuiltOnWhatIsGone(t *testing.T) {
	for _, crash := range []bool{false, true} {
		t.Run(fmt.Sprint("crash=", crash), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				disk := new(memstore.Disk)
				a, b := openOn(t, disk), open(t)
				before := a.Origin()
				mustUpdate(t, a.Space("s"), add(1))
				mustUpdate(t, a.Space("t"), add(1))
				known := crdtsync.Known{Dot: merge.Dot{Origin: before, Seq: 1}, Hash: crdtsync.Hash{1}}
				hear[*crdtsync.Goaway](meetFork(t, a, "t", known))
				mustUpdate(t, a.Space("s"), func(tx *node.Tx) error {
					return errors.Join(ids.Remove(tx, 1), ids.Add(tx, 2))
				})
				hear[*crdtsync.Goaway](meetFork(t, a, "s", known))
				if crash {
					synctest.Wait()
					a.Close()
					a = openOn(t, disk)
				}
				keep(t, a, b)
				time.Sleep(20 * time.Second)
				checkHas(t, []int{1, 2}, a, b) // which of the branches it removed 1 from nobody can tell
				st := b.Status()
				if i := slices.IndexFunc(st.Problems, func(p node.Problem) bool { return p.Code == "origin_forked" }); i < 0 || !strings.HasPrefix(st.Problems[i].Action, "nothing, if the device") {
					t.Errorf("problems = %+v, want a fork that the device has told of itself", st.Problems)
				}
			})
		})
	}
}

// TestBuiltOnTheOtherBranch gives a node something that was built on the branch that
// is nowhere any more, earlier than the node wrote its own: it flows all the same.
func TestBuiltOnTheOtherBranch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := open(t), open(t)
		before := a.Origin()
		known := crdtsync.Known{Dot: merge.Dot{Origin: before, Seq: 1}, Hash: crdtsync.Hash{1}}
		built := forge(t, merge.Dot{Origin: merge.Origin{7}, Seq: 1}, 0, crdtsync.Hash{}, []merge.Dot{known.Dot}, adding(t, 2))
		time.Sleep(time.Second)
		mustUpdate(t, a.Space("s"), add(1))
		stranger(t, a, merge.Origin{7}).tell(built)
		synctest.Wait()
		checkHas(t, []int{1, 2}, a)
		hear[*crdtsync.Goaway](meetFork(t, a, "s", known))
		checkRenewed(t, a, before)
		keep(t, a, b)
		time.Sleep(20 * time.Second)
		checkHas(t, []int{1, 2}, a, b)
	})
}

// TestResetOnABranch restores a device that counts again and resets the counter
// before it meets its peer: what it had counted before, and had lost, stays.
func TestResetOnABranch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := new(memstore.Disk)
		a, b := openOn(t, disk), open(t)
		mustUpdate(t, b.Space("s"), add(-1))
		join(t, a, b)
		backup := disk.Clone()
		mustUpdate(t, a.Space("s"), add(1))
		mustUpdate(t, a.Space("s"), func(tx *node.Tx) error { return likes.Add(tx, 4) })
		synctest.Wait()
		a.Close()
		restored := openOn(t, backup)
		mustUpdate(t, restored.Space("s"), func(tx *node.Tx) error { return likes.Add(tx, 5) })
		mustUpdate(t, restored.Space("s"), func(tx *node.Tx) error { return likes.Reset(tx) })
		keep(t, restored, b)
		time.Sleep(120 * time.Second)
		for i, n := range []*node.Node{restored, b} {
			if got := count(t, n); got != 4 {
				t.Errorf("node %d counts %d, want 4", i, got)
			}
		}
		checkEqual(t, "s", restored, b)
		if got := problems(restored); !slices.Equal(got, []string{"new_origin"}) {
			t.Errorf("problems = %v, want new_origin and no repair", got)
		}
	})
}
