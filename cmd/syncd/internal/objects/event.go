package objects

import (
	"bytes"

	"github.com/joinery-crdt/joinery/cmd/syncd/internal/jsonvalue"
	v1 "github.com/joinery-crdt/joinery/cmd/syncd/internal/v1"
	"github.com/joinery-crdt/joinery/crdt"
	"github.com/joinery-crdt/joinery/sync/node"
)

// Event returns what a watcher of the API is told of ev. Of a type it does not
// know it tells that something changed.
func Event(space string, ev node.Event) (*v1.Event, error) {
	out := &v1.Event{
		Space: space, Key: ev.Object.Key, Type: ev.Object.Kind, Change: ev.Dot.String(),
		Time: ev.Time.Time(), Local: ev.Local, Differ: !bytes.Equal(ev.Before, ev.After),
	}
	if c := ev.Conflict; c != nil {
		out.Conflict = &v1.Conflict{
			Kept:  v1.Side{Change: c.Kept.String(), Value: c.KeptValue},
			Other: v1.Side{Change: c.Other.String(), Value: c.OtherValue},
		}
	}
	return out, describe(out, ev)
}

// describe fills in what depends on the type.
func describe(out *v1.Event, ev node.Event) error {
	switch ev.Object.Kind {
	case crdt.GSetKind.Name(), crdt.ORSetKind.Name():
		return describeElement(out, ev, func(cell []byte) (bool, error) { return cell != nil, nil })
	case crdt.RWSetKind.Name():
		return describeElement(out, ev, crdt.RWSetHas)
	case crdt.TwoPSetKind.Name():
		return describeElement(out, ev, func(cell []byte) (bool, error) {
			p, err := crdt.DecodePhase(cell)
			return p == crdt.PhaseAdded, err
		})
	case crdt.LWWKind.Name():
		return describeLatest(out, ev)
	case crdt.MVKind.Name():
		return describeMulti(out, ev)
	case crdt.PNCounterKind.Name():
		return describeCounter(out, ev)
	}
	return nil
}

func describeElement(out *v1.Event, ev node.Event, has func([]byte) (bool, error)) error {
	before, err := has(ev.Before)
	if err != nil {
		return err
	}
	after, err := has(ev.After)
	out.Element, out.Present, out.Differ = jsonvalue.Value(ev.Element), &after, before != after
	return err
}

func describeLatest(out *v1.Event, ev node.Event) error {
	before, err := latestValue(ev.Before)
	if err != nil {
		return err
	}
	out.Value, err = latestValue(ev.After)
	out.Differ = !bytes.Equal(before, out.Value)
	return err
}

func latestValue(cell []byte) (jsonvalue.Value, error) {
	if cell == nil {
		return nil, nil
	}
	latest, err := crdt.DecodeLatest(cell)
	return latest.Value, err
}

func describeMulti(out *v1.Event, ev node.Event) error {
	live, err := crdt.DecodeDots(ev.After)
	out.Values = []jsonvalue.Value{}
	for e := range live.All() {
		out.Values = append(out.Values, e.Value)
	}
	return err
}

func describeCounter(out *v1.Event, ev node.Event) error {
	before, err := count(ev.Before)
	if err != nil {
		return err
	}
	after, err := count(ev.After)
	by := after - before
	out.By, out.Differ = &by, by != 0
	return err
}

// count returns one origin's share of a counter.
func count(cell []byte) (int64, error) {
	s, err := crdt.DecodeShare(cell)
	return int64(s.P-s.PBase) - int64(s.N-s.NBase), err
}
