package node_test

import (
	"slices"
	"testing"

	"github.com/joinery-crdt/joinery/crdt"
	"github.com/joinery-crdt/joinery/sync/node"
)

// TestEveryKindHasAReference: what a node keeps by itself, an application can
// refer to by a function of this package.
func TestEveryKindHasAReference(t *testing.T) {
	var kinds []string
	for _, ref := range []interface{ Object() node.Object }{
		node.GSet[string]("k"), node.TwoPSet[string]("k"), node.USet[string]("k"), node.ORSet[string]("k"),
		node.RWSet[string]("k"), node.LWWSet[string]("k"), node.RemoveBiasedLWWSet[string]("k"), node.PNSet[string]("k"),
		node.GCounter("k"), node.PNCounter("k"), node.BoundedCounter("k"), node.EWFlag("k"), node.DWFlag("k"),
		node.LWW[string]("k"), node.MVRegister[string]("k"), node.LWWMap[string, int]("k"), node.ORMap[string]("k"),
	} {
		if ref.Object().Key != "k" {
			t.Errorf("%T refers to %v, want the key k", ref, ref.Object())
		}
		kinds = append(kinds, ref.Object().Kind)
	}
	slices.Sort(kinds)
	if want := crdt.Builtin().Names(); !slices.Equal(kinds, want) {
		t.Errorf("there are references to %v, want %v", kinds, want)
	}
}
