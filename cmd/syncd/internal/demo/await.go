package demo

import (
	"context"
	"fmt"
	"time"

	v1 "github.com/joinery-crdt/joinery/cmd/syncd/internal/v1"
	"github.com/joinery-crdt/joinery/sync/node"
)

// level waits until both devices hold the same, and returns what that is.
func (s *show) level() (node.SpaceStatus, error) {
	ctx, cancel := context.WithTimeout(s.ctx, patience)
	defer cancel()
	poll := time.NewTicker(5 * time.Millisecond)
	defer poll.Stop()
	for {
		left, err := held(ctx, s.laptop)
		if err != nil {
			return left, err
		}
		right, err := held(ctx, s.phone)
		if err != nil {
			return left, err
		}
		if left == right {
			return left, nil
		}
		select {
		case <-poll.C:
		case <-ctx.Done():
			return left, fmt.Errorf("%w in %v: %+v, %+v", errDiffer, patience, left, right)
		}
	}
}

func held(ctx context.Context, d *device) (node.SpaceStatus, error) {
	st, err := d.api.Status(ctx)
	for _, sp := range st.Spaces {
		if sp.Name == space {
			return sp, err
		}
	}
	return node.SpaceStatus{}, err
}

// listen collects the conflicts that laptop is told of.
func (s *show) listen() error {
	ctx, cancel := context.WithTimeout(s.ctx, patience)
	w, err := s.laptop.api.Watch(ctx, space, "")
	if err != nil {
		cancel()
		return err
	}
	s.watch = cancel
	s.conflicts = make(chan v1.Event)
	go func() {
		defer close(s.conflicts)
		defer w.Close()
		for ev, err := range w.Events(ctx) {
			if err != nil {
				return
			}
			if ev.Conflict == nil {
				continue
			}
			select {
			case s.conflicts <- ev:
			case <-ctx.Done():
			}
		}
	}()
	return nil
}

// conflict waits for that about a key.
func (s *show) conflict(key string) (*v1.Conflict, error) {
	for ev := range s.conflicts {
		if ev.Key == key {
			return ev.Conflict, nil
		}
	}
	return nil, fmt.Errorf("demo: nobody was told of the conflict about %q", key)
}

// invite says how to go on.
func (s *show) invite(syncd string) {
	s.say("Both devices go on running. Play with them from another terminal:\n")
	s.say("  %s watch notes --addr %s", syncd, s.laptop.api.Address())
	s.say("  %s add notes tags garden --addr %s", syncd, s.phone.api.Address())
	s.say("  %s status --addr %s\n", syncd, s.laptop.api.Address())
	s.say("Ctrl-C ends them and removes what they stored.")
}
