package crdttest

import (
	"bytes"
	"fmt"
	"maps"
	"slices"

	"github.com/joinery-crdt/joinery/crdt"
	"github.com/joinery-crdt/joinery/merge"
)

// merged merges the cells of every replica with those of every other one, and
// compares what comes of it with a replica that has applied the changes of both.
// Hosts other than the kit's own keep their cells to themselves.
func (s *hosts) merged() error {
	for a := range Replicas {
		for b := range Replicas {
			mine, ok := s.hosts[a].(*cells)
			if !ok {
				return nil
			}
			want := s.fresh(Origin(Replicas)).(*cells)
			if err := s.replay(want, a, b); err != nil {
				return err
			}
			if err := mine.mergesTo(s.hosts[b].(*cells), want); err != nil {
				return fmt.Errorf("the cells of %s merged with those of %s: %w", name(a), name(b), err)
			}
		}
	}
	return nil
}

// replay brings a host everything that the given replicas have applied.
func (s *hosts) replay(h *cells, replicas ...int) error {
	for _, of := range replicas {
		for _, p := range s.all(of) {
			m, ok := p.payload.(*cellChange)
			if !ok || !s.hosts[of].(*cells).seen.Contains(m.dot) { // it waits
				continue
			}
			if err := h.Receive(m); err != nil {
				return err
			}
		}
	}
	return nil
}

// mergesTo returns an error unless the cells of c and o together are want.
func (c *cells) mergesTo(o, want *cells) error {
	names := maps.Clone(c.states)
	maps.Copy(names, o.states)
	maps.Copy(names, want.states)
	for _, element := range slices.Sorted(maps.Keys(names)) {
		got, err := mergeCells(c.kind, element, held(c, element), held(o, element))
		if err != nil {
			return err
		}
		if state := want.states[element]; !bytes.Equal(got, state) || (got == nil) != (state == nil) {
			return fmt.Errorf("cell %q is %x, want %x as after the changes of both", element, got, state)
		}
	}
	return nil
}

func held(c *cells, element string) crdt.Held {
	return crdt.Held{Cell: c.states[element], Seen: &c.seen}
}

// mergeCells is Merge, held to leaving its arguments alone, to having no effect
// the second time, and to refusing dots that nobody has seen.
func mergeCells(k crdt.Kind, element string, mine, theirs crdt.Held) ([]byte, error) {
	was, other := bytes.Clone(mine.Cell), bytes.Clone(theirs.Cell)
	got, err := k.Merge([]byte(element), mine, theirs)
	switch {
	case err != nil:
		return nil, fmt.Errorf("the Merge of the kind refuses cells that its Join returned: %w", err)
	case !bytes.Equal(was, mine.Cell) || !bytes.Equal(other, theirs.Cell):
		return nil, fmt.Errorf("the Merge of the kind modifies its arguments: cells %x and %x", was, other)
	}
	both := crdt.Held{Cell: got, Seen: anyOf{mine.Seen, theirs.Seen}}
	again, err := k.Merge([]byte(element), both, theirs)
	if err != nil || !bytes.Equal(again, got) {
		return nil, fmt.Errorf("the Merge of the kind gives %x, and with the same cell again %x, error %v", got, again, err)
	}
	for _, bad := range spoilt(theirs.Cell) { // what comes of it does not matter, a panic does
		_, _ = k.Merge([]byte(element), mine, crdt.Held{Cell: bad, Seen: theirs.Seen})
	}
	return slices.Clip(got), nil
}

// anyOf is what any of them contains.
type anyOf []merge.Dots

func (a anyOf) Contains(d merge.Dot) bool {
	return slices.ContainsFunc(a, func(s merge.Dots) bool { return s.Contains(d) })
}
