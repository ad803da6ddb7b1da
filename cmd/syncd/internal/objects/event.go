package objects

import (
	"bytes"
	"strconv"

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
			Kept:  v1.Side{Change: c.Kept.String(), Value: written(c.KeptValue)},
			Other: v1.Side{Change: c.Other.String(), Value: written(c.OtherValue)},
		}
	}
	if ev.Object.Kind == mapOfObjects {
		return out, describeInMap(out, ev)
	}
	if d, ok := descriptions[ev.Object.Kind]; ok {
		return out, d(out, ev)
	}
	return out, nil
}

// written returns what a write to a register or field stored, nil if it removed
// the field.
func written(b []byte) jsonvalue.Value {
	if len(b) == 0 {
		return nil
	}
	return b
}

// A description fills in what depends on the type of the object.
type description func(out *v1.Event, ev node.Event) error

// descriptions is how events are told, by type; those in maps of objects by
// [describeInMap].
var descriptions = map[string]description{
	crdt.GSetKind.Name():               ofElement(isThere),
	crdt.TwoPSetKind.Name():            ofElement(isAdded),
	crdt.ORSetKind.Name():              ofElement(isThere),
	crdt.RWSetKind.Name():              ofElement(crdt.RWSetHas),
	crdt.USetKind.Name():               ofElement(isThere),
	crdt.LWWSetKind.Name():             ofElement(atTimes(crdt.Times.AddBiased)),
	crdt.RemoveBiasedLWWSetKind.Name(): ofElement(atTimes(crdt.Times.RemoveBiased)),
	crdt.PNSetKind.Name():              describeCounted,
	crdt.LWWKind.Name():                describeLatest,
	crdt.MVKind.Name():                 describeMulti,
	crdt.PNCounterKind.Name():          ofCount(count),
	crdt.GCounterKind.Name():           ofCount(total),
	crdt.BoundedKind.Name():            describeBounded,
	crdt.EWFlagKind.Name():             ofFlag(isThere),
	crdt.DWFlagKind.Name():             ofFlag(crdt.DWFlagEnabled),
	mapOfLatest:                        describeField,
}

// describeInMap tells the way to what changed in a map of objects, and then what
// changed there.
func describeInMap(out *v1.Event, ev node.Event) (err error) {
	name := []byte(ev.Element)
	if ev.Before, err = builtinMaps.State(name, ev.Before); err != nil {
		return err
	}
	if ev.After, err = builtinMaps.State(name, ev.After); err != nil {
		return err
	}
	for kind := mapOfObjects; kind == mapOfObjects; {
		field, in, rest, err := crdt.CutField(name)
		if err != nil {
			return err
		}
		name, kind = rest, string(in)
		out.Path = append(out.Path, v1.Step{Field: field, Type: kind})
	}
	ev.Element, ev.Object.Kind = string(name), out.Path[len(out.Path)-1].Type
	if d, ok := descriptions[ev.Object.Kind]; ok {
		return d(out, ev)
	}
	return nil
}

// A test reads from the cell of an element whether it is in its set, or from
// that of a flag whether it is enabled.
type test func(cell []byte) (bool, error)

func isThere(cell []byte) (bool, error) { return cell != nil, nil }

func isAdded(cell []byte) (bool, error) {
	p, err := crdt.DecodePhase(cell)
	return p == crdt.PhaseAdded, err
}

// atTimes is the test of sets in which the latest write decides.
func atTimes(present func(crdt.Times) bool) test {
	return func(cell []byte) (bool, error) {
		times, err := crdt.DecodeTimes(cell)
		return present(times), err
	}
}

func ofElement(has test) description {
	return func(out *v1.Event, ev node.Event) error {
		before, after, err := both(has, ev)
		out.Element, out.Present, out.Differ = jsonvalue.Value(ev.Element), &after, before != after
		return err
	}
}

func ofFlag(enabled test) description {
	return func(out *v1.Event, ev node.Event) error {
		before, after, err := both(enabled, ev)
		if err != nil {
			return err
		}
		out.Differ = before != after
		out.Value, err = jsonvalue.Parse(strconv.AppendBool(nil, after))
		return err
	}
}

// both reads the cell before and after the event.
func both[T any](read func(cell []byte) (T, error), ev node.Event) (before, after T, err error) {
	if before, err = read(ev.Before); err != nil {
		return before, after, err
	}
	after, err = read(ev.After)
	return before, after, err
}

func describeLatest(out *v1.Event, ev node.Event) error {
	before, after, err := both(crdt.DecodeLatest, ev)
	out.Value, out.Differ = written(after.Value), !bytes.Equal(before.Value, after.Value)
	return err
}

func describeField(out *v1.Event, ev node.Event) error {
	before, after, err := both(crdt.DecodeField, ev)
	present := len(after.Value) > 0
	out.Field, out.Present = jsonvalue.Value(ev.Element), &present
	out.Value, out.Differ = written(after.Value), !bytes.Equal(before.Value, after.Value)
	return err
}

func describeMulti(out *v1.Event, ev node.Event) error {
	live, err := crdt.DecodeDots(ev.After)
	out.Values = []jsonvalue.Value{}
	for e := range live.All() {
		out.Values = append(out.Values, e.Value)
	}
	return err
}

// ofCount is of counters whose cells are what one origin counts.
func ofCount(read func(cell []byte) (int64, error)) description {
	return func(out *v1.Event, ev node.Event) error {
		before, after, err := both(read, ev)
		by := after - before
		out.By, out.Differ = &by, by != 0
		return err
	}
}

// count returns one origin's share of a counter.
func count(cell []byte) (int64, error) {
	s, err := crdt.DecodeShare(cell)
	return int64(s.P-s.PBase) - int64(s.N-s.NBase), err
}

// total returns what one origin added to a grow-only counter.
func total(cell []byte) (int64, error) {
	t, err := crdt.DecodeTotal(cell)
	return int64(t), err
}

// balance returns what one origin added to a bounded counter.
func balance(cell []byte) (int64, error) {
	a, err := crdt.DecodeAccount(cell)
	return int64(a.Created) - int64(a.Spent), err
}

// describeBounded tells that rights have moved by a count of 0 that differs.
func describeBounded(out *v1.Event, ev node.Event) error {
	err := ofCount(balance)(out, ev)
	out.Differ = !bytes.Equal(ev.Before, ev.After)
	return err
}

func describeCounted(out *v1.Event, ev node.Event) error {
	element, _, err := crdt.SplitElementShare([]byte(ev.Element))
	if err != nil {
		return err
	}
	out.Element = jsonvalue.Value(element)
	return ofCount(count)(out, ev)
}
