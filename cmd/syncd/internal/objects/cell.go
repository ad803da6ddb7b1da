package objects

import (
	"encoding/json"

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
	if ev.Element != nil {
		d.Element = text(ev.Element)
	}
	return d
}

// shown returns the part of an event that tells a cell's value.
func shown(ev *v1.Event) json.RawMessage {
	switch {
	case ev.Value != nil:
		return text(ev.Value)
	case ev.Values != nil:
		return text(ev.Values)
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
