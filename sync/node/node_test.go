package node_test

import (
	"slices"
	"testing"
	"testing/synctest"

	"github.com/joinery-crdt/joinery/sync/node"
	"github.com/joinery-crdt/joinery/sync/wire"
)

func join(t *testing.T, a, b *node.Node) {
	t.Helper()
	x, y := wire.Pipe()
	go a.Serve(t.Context(), x)
	go b.Serve(t.Context(), y)
}

func TestTwoNodesMeet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := open(t), open(t)
		write := func(n *node.Node, tag string, by int64) {
			err := n.Space("notes").Update(t.Context(), func(tx *node.Tx) error {
				title.Set(tx, "of "+tag)
				tags.Add(tx, tag)
				return likes.Add(tx, by)
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		write(a, "home", 2)
		write(b, "work", 3)
		join(t, a, b)
		synctest.Wait()
		for _, n := range []*node.Node{a, b} {
			err := n.Space("notes").View(t.Context(), func(v *node.View) error {
				var got []string
				for tag, err := range tags.All(v) {
					if err != nil {
						return err
					}
					got = append(got, tag)
				}
				if want := []string{"home", "work"}; !slices.Equal(got, want) {
					t.Errorf("tags = %q, want %q", got, want)
				}
				if got, err := likes.Value(v); err != nil || got != 5 {
					t.Errorf("likes = %d, %v, want 5", got, err)
				}
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		}
		if x, y := a.Space("notes").Summary(), b.Space("notes").Summary(); x.Cells != y.Cells || x.Applied != y.Applied {
			t.Errorf("summaries differ: %+v, %+v", x, y)
		}
		if got := a.Status(); len(got.Problems) != 0 || len(got.Peers) != 1 || got.Peers[0].State != "connected" {
			t.Errorf("status = %+v, want one connected peer without problems", got)
		}
	})
}
