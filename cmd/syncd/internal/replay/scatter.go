package replay

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"

	"github.com/joinery-crdt/joinery/merge"
	"github.com/joinery-crdt/joinery/sync/node"
)

// A Part is a causally closed part of a history's changes, as a drop file.
type Part struct {
	File    []byte
	Changes uint64
}

// scatter cuts what a node has replayed into n causally closed parts, each
// different: a beginning of the history of growing length, and behind it some
// of the branches. The last part is everything.
func scatter(ctx context.Context, h *History, full *node.Node, n int, seed uint64) ([]Part, error) {
	r := rand.New(rand.NewPCG(seed, 1))
	parts := make([]Part, n)
	for i := range parts {
		cut := node.Cut{Until: closedPart(h, len(h.Events)*(i+1)/n, r)}
		var file bytes.Buffer
		changes, err := full.Space(SpaceName).Export(ctx, &file, cut)
		if err != nil {
			return nil, err
		}
		parts[i] = Part{file.Bytes(), changes}
	}
	if total := full.Space(SpaceName).Summary().Changes; parts[n-1].Changes != total {
		return nil, fmt.Errorf("replay: the last part has %d of %d changes", parts[n-1].Changes, total)
	}
	return parts, nil
}

// closedPart returns what is seen by the events before the given number and by
// some later ones, each of which comes with all its ancestors.
func closedPart(h *History, before int, r *rand.Rand) *merge.VersionVector {
	made := make([]uint32, h.Replicas)
	in := make([]bool, len(h.Events))
	v := &merge.VersionVector{}
	for i, e := range h.Events {
		in[i] = i < before || r.IntN(4) > 0
		for _, p := range e.Parents {
			in[i] = in[i] && in[p]
		}
		made[e.Replica] += changesOf(&e)
		if seq := made[e.Replica]; in[i] && seq > 0 {
			v.Raise(merge.Dot{Origin: originOf(e.Replica), Seq: uint64(seq)})
		}
	}
	return v
}

// changesOf returns the number of transactions that an event makes.
func changesOf(e *Event) uint32 { return uint32((len(e.Changes) + maxPaths - 1) / maxPaths) }
