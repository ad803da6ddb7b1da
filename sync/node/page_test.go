package node_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/joinery-crdt/joinery/sync/node"
)

func TestObjectsAfterContinuesWhereAPageEnded(t *testing.T) {
	n := open(t)
	s := n.Space("s")
	keys := []string{"a", "a\x00", "a\x00b", "a\x01", "ab", "b"}
	err := s.Update(t.Context(), func(tx *node.Tx) error {
		for _, k := range keys {
			node.LWW[int](k).Set(tx, 1)
			node.ORSet[int](k).Add(tx, 1)
			node.ORSet[int](k).Add(tx, 2)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, prefix := range []string{"", "a", "a\x00", "b", "c"} {
		t.Run(fmt.Sprintf("prefix=%q", prefix), func(t *testing.T) {
			err := s.View(t.Context(), func(v *node.View) error {
				all := objects(t, v, prefix, node.Object{})
				for i := range all {
					if got := objects(t, v, prefix, all[i]); !slices.Equal(got, all[i+1:]) {
						t.Errorf("after %v come %v, want %v", all[i], got, all[i+1:])
					}
				}
				if got := slices.Collect(firsts(v, prefix)); !slices.Equal(got, all) {
					t.Errorf("Objects = %v, ObjectsAfter of none = %v", got, all)
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
		})
	}
}

func objects(t *testing.T, v *node.View, prefix string, after node.Object) []node.Object {
	t.Helper()
	found := []node.Object{}
	for o, err := range v.ObjectsAfter(prefix, after) {
		if err != nil {
			t.Fatal(err)
		}
		found = append(found, o)
	}
	return found
}

func firsts(v *node.View, prefix string) func(yield func(node.Object) bool) {
	return func(yield func(node.Object) bool) {
		for o := range v.Objects(prefix) {
			if !yield(o) {
				return
			}
		}
	}
}

func TestChangedSaysWhetherThereIsAChange(t *testing.T) {
	n := open(t)
	for _, c := range []struct {
		name string
		do   func(tx *node.Tx) error
		want bool
	}{
		{"add", func(tx *node.Tx) error { return tags.Add(tx, "home") }, true},
		{"remove", func(tx *node.Tx) error { return tags.Remove(tx, "home") }, true},
		{"remove what is not there", func(tx *node.Tx) error { return tags.Remove(tx, "home") }, false},
	} {
		before := n.Space("s").Summary().Changes
		var got bool
		err := n.Space("s").Update(t.Context(), func(tx *node.Tx) error {
			err := c.do(tx)
			got = tx.Changed()
			return err
		})
		if made := n.Space("s").Summary().Changes > before; err != nil || got != c.want || made != c.want {
			t.Errorf("%s: Changed = %v, made a change = %v, %v, want %v", c.name, got, made, err, c.want)
		}
	}
}
