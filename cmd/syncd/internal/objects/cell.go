package objects

import (
	"encoding/json"

	"github.com/joinery-crdt/joinery/cmd/syncd/internal/jsonvalue"
	v1 "github.com/joinery-crdt/joinery/cmd/syncd/internal/v1"
	"github.com/joinery-crdt/joinery/store/pgstore"
	crdtsync "github.com/joinery-crdt/joinery/sync"
	"github.com/joinery-crdt/joinery/sync/node"
)

// Describe says what the SQL view of a hub's cells shows of one: its value, or
// all values, whether the element is there, or what one origin has counted. It
// is nil for what it does not know.
func Describe(space string, key, state []byte) *pgstore.Description {
	k, err := crdtsync.ParseCellKey(key)
	if err != nil {
		return nil
	}
	ev, err := Event(space, node.Event{Object: node.Object{Key: k.Object, Kind: k.Kind}, Element: k.Element, After: state})
	if err != nil {
		return nil
	}
	d := &pgstore.Description{Key: k.Object, Type: k.Kind, Value: shown(ev)}
	d.Element = place(ev)
	return d
}

// place returns which part of an object a cell is: an element, a field, or in an
// ormap the steps to a field and which part of what is in it. It is nil for a
// whole object.
func place(ev *v1.Event) json.RawMessage {
	switch {
	case ev.Path != nil:
		return text(struct {
			Path    []v1.Step       `json:"path"`
			Element jsonvalue.Value `json:"element,omitzero"`
			Field   jsonvalue.Value `json:"field,omitzero"`
		}{ev.Path, ev.Element, ev.Field})
	case ev.Element != nil:
		return text(ev.Element)
	case ev.Field != nil:
		return text(ev.Field)
	}
	return nil
}

// shown returns the part of an event that tells a cell's value.
func shown(ev *v1.Event) json.RawMessage {
	switch {
	case ev.Value != nil:
		return text(ev.Value)
	case ev.Values != nil:
		return text(ev.Values)
	case ev.Field != nil: // removed
		return nil
	case ev.Present != nil:
		return text(ev.Present)
	case ev.By != nil:
		return text(ev.By)
	}
	return nil
}

// text returns the JSON of a value, nil if it has none.
func text(v any) json.RawMessage {
	b, err := json.Marshal(v)
	if err != nil {
		return nil
	}
	return b
}
