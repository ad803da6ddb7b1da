package replay

import (
	"errors"
	"slices"

	"github.com/joinery-crdt/joinery/crdt"
	"github.com/joinery-crdt/joinery/merge"
)

// deltaForm replays a history through stand-alone values: what an event sends is
// the deltas of its changes, merged into one of each type.
type deltaForm struct{}

// values is one value of each type, and a register for each path: the state of
// a replica, or a delta of it.
type values struct {
	origin                        merge.Origin
	grown                         crdt.GSet[string]
	twoPhase                      crdt.TwoPSet[string]
	addWins                       crdt.ORSet[string]
	removeWins                    crdt.RWSet[string]
	increments, decrements, value crdt.PNCounter
	registers                     map[string]*crdt.MVRegister[int]
}

func (deltaForm) open(id int, from *values, has bool) *values {
	v := &values{registers: make(map[string]*crdt.MVRegister[int])}
	if has {
		v.merge(from)
	}
	v.origin = originOf(id)
	return v
}

func (v *values) merge(from *values) {
	v.grown.Merge(&from.grown)
	v.twoPhase.Merge(&from.twoPhase)
	v.addWins.Merge(&from.addWins)
	v.removeWins.Merge(&from.removeWins)
	v.increments.Merge(&from.increments)
	v.decrements.Merge(&from.decrements)
	v.value.Merge(&from.value)
	for path, r := range from.registers {
		v.register(path).Merge(r)
	}
}

func (v *values) register(path string) *crdt.MVRegister[int] {
	r, ok := v.registers[path]
	if !ok {
		r = &crdt.MVRegister[int]{}
		v.registers[path] = r
	}
	return r
}

func (deltaForm) play(v *values, e *Event) (*values, error) {
	sent := deltaForm{}.open(e.Replica, nil, false)
	for _, c := range e.Changes {
		if err := v.change(sent, e.ID, c); err != nil {
			return nil, err
		}
	}
	return sent, nil
}

// change does what write does, and merges the deltas into sent.
func (v *values) change(sent *values, id int, c PathChange) error {
	path := c.Path()
	if c.Deletes() {
		sent.twoPhase.Merge(v.twoPhase.Remove(path))
		sent.addWins.Merge(v.addWins.Remove(v.origin, path))
		sent.removeWins.Merge(v.removeWins.Remove(v.origin, path))
		sent.register(path).Merge(v.register(path).Clear(v.origin))
		return firstError(count(&v.decrements, &sent.decrements, v.origin, 1), count(&v.value, &sent.value, v.origin, -1))
	}
	added, err := v.twoPhase.Add(path)
	if err != nil && !errors.Is(err, crdt.ErrRemoved) {
		return err
	}
	if err == nil {
		sent.twoPhase.Merge(added)
	}
	set, err := v.register(path).Set(v.origin, id)
	if err != nil {
		return err
	}
	sent.register(path).Merge(set)
	sent.grown.Merge(v.grown.Add(path))
	sent.addWins.Merge(v.addWins.Add(v.origin, path))
	sent.removeWins.Merge(v.removeWins.Add(v.origin, path))
	return firstError(count(&v.increments, &sent.increments, v.origin, 1), count(&v.value, &sent.value, v.origin, 1))
}

func count(c, sent *crdt.PNCounter, origin merge.Origin, n int64) error {
	delta, err := c.Add(origin, n)
	if err == nil {
		sent.Merge(delta)
	}
	return err
}

func (deltaForm) take(v *values, sent []*values) error {
	for _, delta := range sent {
		v.merge(delta)
	}
	return nil
}

func (deltaForm) contents(v *values) (contents, error) {
	c := contents{
		grown: slices.Collect(v.grown.All()), twoPhase: slices.Collect(v.twoPhase.All()),
		addWins: slices.Collect(v.addWins.All()), removeWins: slices.Collect(v.removeWins.All()),
		counter:   Counter{v.increments.Value(), v.decrements.Value(), v.value.Value()},
		registers: make(map[string][]int),
	}
	for path, r := range v.registers {
		if ids := slices.Collect(r.Values()); len(ids) > 0 {
			c.registers[path] = ids
		}
	}
	return c, nil
}
