package killtest

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/joinery-crdt/joinery/cmd/syncd/internal/client"
	"github.com/joinery-crdt/joinery/cmd/syncd/internal/jsonvalue"
	v1 "github.com/joinery-crdt/joinery/cmd/syncd/internal/v1"
	"github.com/joinery-crdt/joinery/crdt"
)

// space is where everything is written.
const space = "killtest"

// A round is what is written between two starts of the daemon.
type round struct {
	number  int
	writers []*writer
}

// A writer makes one transaction after the other until the daemon is gone. The
// n-th, from 1, adds n to two sets and 1 to a counter and sets a register to n.
type writer struct {
	key      string // prefix of its objects
	acked    int    // transactions 1..acked were acknowledged
	rejected int    // attempts at one of them, or at the next, that changed nothing
	unknown  bool   // the one after them was cut off
	survived bool   // and was there afterwards
	refused  error  // the daemon answered, and not with an acknowledgement
}

func newRound(number, writers int) *round {
	r := &round{number: number}
	for i := range writers {
		r.writers = append(r.writers, &writer{key: fmt.Sprintf("%d/%d/", number, i)})
	}
	return r
}

// write makes transactions until one is not acknowledged, or until stop is
// closed. It calls acked after each that is. One for which the database was away
// was not made, and is tried again.
func (w *writer) write(ctx context.Context, d *daemon, stop <-chan struct{}, acked func()) {
	for {
		_, err := d.api().Do(ctx, space, w.transaction(w.acked+1)...)
		p, answered := errors.AsType[*v1.Problem](err)
		switch {
		case err == nil:
			w.acked++
			acked()
		case answered && p.Code == v1.StoreUnavailable && d.database != nil:
			w.rejected++
		case answered:
			w.refused = err
			fallthrough
		default:
			w.unknown = true
			return
		}
		select {
		case <-stop:
			return
		default:
		}
	}
}

func (w *writer) transaction(n int) []v1.Op {
	v := number(n)
	return []v1.Op{
		{Op: "add", Key: w.key + "one", Value: v},
		{Op: "add", Key: w.key + "two", Value: v},
		{Op: "inc", Key: w.key + "count"},
		{Op: "set", Key: w.key + "last", Value: v},
	}
}

func number(n int) jsonvalue.Value {
	v, err := crdt.EncodeValue(n)
	if err != nil {
		panic(err) // an integer
	}
	return jsonvalue.Value(v)
}

// check reads what the round's writers wrote.
func (r *round) check(ctx context.Context, d *daemon) error {
	for _, w := range r.writers {
		if err := w.check(ctx, d); err != nil {
			return fmt.Errorf("round %d, objects %s*: %w", r.number, w.key, err)
		}
	}
	return nil
}

func (w *writer) check(ctx context.Context, d *daemon) error {
	if w.refused != nil {
		return fmt.Errorf("%w: a write was refused: %w", ErrLost, w.refused)
	}
	found := make(map[string]int)
	for _, part := range []struct {
		name, kind string
		count      func(*v1.Object) (int, error)
	}{
		{"one", crdt.ORSetKind.Name(), elements},
		{"two", crdt.ORSetKind.Name(), elements},
		{"count", crdt.PNCounterKind.Name(), value},
		{"last", crdt.LWWKind.Name(), value},
	} {
		n, err := read(ctx, d, part.kind, w.key+part.name, part.count)
		if err != nil {
			return fmt.Errorf("%s: %w", part.name, err)
		}
		found[part.name] = n
	}
	return w.judge(found)
}

// judge demands that all objects show the same transactions: those that were
// acknowledged, and at most the one that was cut off.
func (w *writer) judge(found map[string]int) error {
	n := found["one"]
	for name, other := range found {
		if other != n {
			return fmt.Errorf("%w: half a transaction: one has %d, %s has %d", ErrLost, n, name, other)
		}
	}
	switch {
	case n < w.acked:
		return fmt.Errorf("%w: %d transactions were acknowledged, %d are there", ErrLost, w.acked, n)
	case n > w.acked+1 || n > w.acked && !w.unknown:
		return fmt.Errorf("%w: %d transactions were made, %d are there", ErrLost, w.acked, n)
	case w.survived && n == w.acked:
		return fmt.Errorf("%w: transaction %d was there and is no more", ErrLost, w.acked+1)
	}
	w.survived = n > w.acked
	return nil
}

// read returns what count makes of an object, 0 if there is none.
func read(ctx context.Context, d *daemon, kind, key string, count func(*v1.Object) (int, error)) (int, error) {
	o, err := d.api().Object(ctx, space, kind, key)
	if p, ok := errors.AsType[*v1.Problem](err); ok && p.Code == "object_not_found" {
		return 0, nil
	}
	if errors.Is(err, client.ErrUnreachable) {
		return 0, fmt.Errorf("%w: the daemon went away by itself: %w", ErrLost, err)
	}
	if err != nil {
		return 0, err
	}
	return count(&o)
}

// elements demands the numbers from 1 without gaps and returns how many.
func elements(o *v1.Object) (int, error) {
	has := make(map[string]bool)
	for _, e := range o.Elements {
		has[string(e)] = true
	}
	for n := range o.Elements {
		if !has[string(number(n+1))] {
			return 0, fmt.Errorf("%w: it has %d elements and lacks %d", ErrLost, len(o.Elements), n+1)
		}
	}
	return len(o.Elements), nil
}

func value(o *v1.Object) (int, error) {
	b, err := o.Value.MarshalJSON()
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(string(b))
}
