package node_test

import (
	"context"
	"errors"
	"testing"

	"github.com/joinery-crdt/joinery/sync/node"
)

// take watches a space; the function it returns waits until the node is closed
// and returns all events.
func take(t *testing.T, s *node.Space) func() []node.Event {
	t.Helper()
	watch := s.Watch(context.Background(), nil)
	return func() (events []node.Event) {
		for ev, err := range watch {
			if err != nil {
				if !errors.Is(err, node.ErrClosed) {
					t.Errorf("Watch ended with %v, want ErrClosed", err)
				}
				return events
			}
			events = append(events, ev)
		}
		t.Error("Watch ended without an error")
		return events
	}
}
