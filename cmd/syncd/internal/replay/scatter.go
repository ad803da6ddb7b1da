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

// scatter cuts what the events before the given number made, as a node has
// replayed them, into n causally closed parts, each different: a beginning of the
// history of growing length, and behind it some of the branches. The last part
// is all of it.
func scatter(ctx context.Context, h *History, full *node.Node, n, until int, seed uint64) ([]Part, error) {
	r := rand.New(rand.NewPCG(seed, 1))
	parts := make([]Part, n)
	for i := range parts {
		var err error
		if parts[i], err = export(ctx, full, node.Cut{Until: closedPart(h, until*(i+1)/n, until, r)}); err != nil {
			return nil, err
		}
	}
	total := uint64(0)
	for _, e := range h.Events[:until] {
		total += uint64(changesOf(&e))
	}
	if parts[n-1].Changes != total {
		return nil, fmt.Errorf("replay: the last part has %d of %d changes", parts[n-1].Changes, total)
	}
	return parts, nil
}

// follow cuts what the events from the given number on made into n parts, of which
// each depends on those before it.
func follow(ctx context.Context, h *History, full *node.Node, from, n int) ([]Part, error) {
	parts := make([]Part, n)
	since := closedPart(h, from, from, nil)
	for i := range parts {
		at := from + (len(h.Events)-from)*(i+1)/n
		until := closedPart(h, at, at, nil)
		var err error
		if parts[i], err = export(ctx, full, node.Cut{Since: since, Until: until}); err != nil {
			return nil, err
		}
		since = until
	}
	return parts, nil
}

func export(ctx context.Context, full *node.Node, cut node.Cut) (Part, error) {
	var file bytes.Buffer
	changes, err := full.Space(SpaceName).Export(ctx, &file, cut)
	return Part{file.Bytes(), changes}, err
}

// closedPart returns what is seen by the events before the given number and by
// some of those between it and the end, each of which comes with all its ancestors.
func closedPart(h *History, before, end int, r *rand.Rand) *merge.VersionVector {
	made := make([]uint32, h.Replicas)
	in := make([]bool, end)
	v := &merge.VersionVector{}
	for i, e := range h.Events[:end] {
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
