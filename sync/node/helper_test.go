package node_test

import (
	"testing"

	"github.com/joinery-crdt/joinery/sync/node"
)

var (
	tags   = node.ORSet[string]("tags")
	vetoes = node.RWSet[string]("vetoes")
	once   = node.TwoPSet[string]("once")
	paths  = node.GSet[string]("paths")
	ids    = node.ORSet[int]("ids")
	title  = node.LWW[string]("title")
	drafts = node.MVRegister[string]("drafts")
	likes  = node.PNCounter("likes")
)

// mustUpdate runs a transaction that has to succeed.
func mustUpdate(t testing.TB, s *node.Space, fn func(tx *node.Tx) error) {
	t.Helper()
	if err := s.Update(t.Context(), fn); err != nil {
		t.Fatal(err)
	}
}
