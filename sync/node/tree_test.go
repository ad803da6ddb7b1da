package node_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/joinery-crdt/joinery/store/memstore"
	"github.com/joinery-crdt/joinery/sync/node"
)

// TestTreeMode lets five nodes write that are all connected with each other, and
// takes one after the other away: those that are left stay equal.
func TestTreeMode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var nodes []*node.Node
		for range 5 {
			n := openConfig(t, node.Config{Store: memstore.New(), Tree: true})
			for _, peer := range nodes {
				join(t, n, peer)
			}
			nodes = append(nodes, n)
		}
		for i := 0; len(nodes) > 1; i++ {
			for j, n := range nodes {
				mustUpdate(t, n.Space("s"), add(10*i+j))
			}
			time.Sleep(20 * beat)
			checkEqual(t, "s", nodes...)
			last := len(nodes) - 1
			mustClose(t, nodes[last])
			nodes = nodes[:last]
		}
	})
}
