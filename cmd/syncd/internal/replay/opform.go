package replay

import (
	"fmt"
	"iter"
	"time"

	"github.com/joinery-crdt/joinery/crdt/object"
	"github.com/joinery-crdt/joinery/crdt/op"
	"github.com/joinery-crdt/joinery/hlc"
)

// opForm replays a history through replicas in operation form: every event is
// one message.
type opForm struct{}

func (opForm) open(id int, from *op.Replica, has bool) *op.Replica {
	cfg := op.Config{Self: originOf(id)}
	if has {
		return from.Clone(cfg)
	}
	return op.NewReplica(cfg)
}

// play makes one message of an event, and reads it back from its bytes.
func (opForm) play(r *op.Replica, e *Event) (*op.Message, error) {
	at, err := hlc.FromTime(time.Unix(e.Time, 0))
	if err != nil {
		return nil, err
	}
	m, err := r.Do(max(at, r.LastTime()+1), func(tx object.Tx) error {
		for _, c := range e.Changes {
			if err := write(tx, e.ID, c); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	b, err := m.MarshalBinary()
	if err != nil {
		return nil, err
	}
	sent := &op.Message{}
	return sent, sent.UnmarshalBinary(b)
}

func (opForm) take(r *op.Replica, sent []*op.Message) error {
	for _, m := range sent {
		if _, err := r.Receive(m); err != nil {
			return err
		}
	}
	if n := r.Delivery().Held(); n > 0 {
		return fmt.Errorf("%d messages still wait, missing are %v", n, r.Delivery().Missing())
	}
	return nil
}

func (opForm) contents(r *op.Replica) (contents, error) {
	return contentsOf(r, withoutError(r.Objects(registerPrefix)))
}

func withoutError[T any](seq iter.Seq[T]) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for v := range seq {
			if !yield(v, nil) {
				return
			}
		}
	}
}
