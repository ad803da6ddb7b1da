package merge_test

import (
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/joinery-crdt/joinery/merge"
)

// origin returns the n-th of the origins that tests use, which ascend with n.
func origin(n int) merge.Origin { return merge.Origin{6: byte(n / 2), 15: byte(n)} }

// dot returns the seq-th dot of the n-th origin.
func dot(n int, seq uint64) merge.Dot { return merge.Dot{Origin: origin(n), Seq: seq} }

// random returns a source seeded from JOINERY_SEED, or anew, and logs the seed.
func random(t *testing.T) *rand.Rand {
	t.Helper()
	seed, err := strconv.ParseUint(os.Getenv("JOINERY_SEED"), 10, 64)
	if err != nil {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("JOINERY_SEED=%d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}
