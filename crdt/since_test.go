package crdt_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/joinery-crdt/joinery/crdt"
	"github.com/joinery-crdt/joinery/merge"
)

// since is what sets that can tell differences have in common.
type since[S any] interface {
	value[S]
	Add(merge.Origin, string) S
	Remove(merge.Origin, string) S
	Context() *merge.Context
	Since(*merge.Context) S
	UnmarshalBinary([]byte) error
}

func TestORSetSince(t *testing.T) {
	testSince(t, func() *crdt.ORSet[string] { return &crdt.ORSet[string]{} })
}

func TestRWSetSince(t *testing.T) {
	testSince(t, func() *crdt.RWSet[string] { return &crdt.RWSet[string]{} })
}

// testSince lets replicas that change bring each other up to date by encoded
// differences: these say the same as whole states.
func testSince[S since[S]](t *testing.T, bottom func() S) {
	rng := rand.New(rand.NewPCG(1, 0))
	for run := range 40 {
		keys := []int{4, 60, 400}[run%3]
		replicas := []S{bottom(), bottom(), bottom()}
		for step := range 500 {
			i, j := rng.IntN(3), rng.IntN(3)
			a, b, key := replicas[i], replicas[j], fmt.Sprint(rng.IntN(keys))
			switch rng.IntN(10) {
			case 0, 1, 2, 3, 4:
				a.Add(origin(i), key)
			case 5, 6, 7:
				a.Remove(origin(i), key)
			case 8:
				again := bottom()
				if err := again.UnmarshalBinary(mustMarshal(t, a)); err != nil {
					t.Fatal(err)
				}
				replicas[i] = again
			default:
				want := b.Clone()
				want.Merge(a)
				diff := bottom()
				if err := diff.UnmarshalBinary(mustMarshal(t, a.Since(b.Context()))); err != nil {
					t.Fatal(err)
				}
				if b.Merge(diff); !b.Equal(want) {
					t.Fatalf("run %d, step %d: a difference says something else than the state", run, step)
				}
			}
		}
	}
}
