package wire_test

import (
	"errors"
	"testing"

	crdtsync "github.com/joinery-crdt/joinery/sync"
	"github.com/joinery-crdt/joinery/sync/wire"
)

func mendCell(key string, state []byte) []byte {
	c := crdtsync.MendCell{Key: []byte(key), State: state}
	b, _ := c.AppendBinary(nil) // never fails
	return b
}

func TestAuditFramesRefused(t *testing.T) {
	print32 := make([]byte, 32)
	key := string([]byte{12}) + "a\x00\x01orset\x00\x01x"[:11]
	for name, b := range map[string][]byte{
		"digest too short":        raw(t, wire.TypeAudit, map[any]any{1: "s", 2: make([]byte, 15)}),
		"unknown code":            raw(t, wire.TypeAudited, map[any]any{1: "s", 2: 3}),
		"unknown comparison":      raw(t, wire.TypeCompare, map[any]any{1: "s", 2: 8, 3: []byte{}}),
		"answer too long":         raw(t, wire.TypeCompare, map[any]any{1: "s", 2: 1, 3: make([]byte, wire.MaxCompare+1)}),
		"unknown stage":           raw(t, wire.TypeRepair, map[any]any{1: "s", 2: print32, 3: 6, 4: []byte{}, 5: [][]byte{}}),
		"print too short":         raw(t, wire.TypeRepair, map[any]any{1: "s", 2: print32[1:], 3: 1, 4: []byte{}, 5: [][]byte{}}),
		"cell without a key":      raw(t, wire.TypeRepair, map[any]any{1: "s", 2: print32, 3: 1, 4: []byte{}, 5: [][]byte{{0, 0}}}),
		"cell with unknown flags": raw(t, wire.TypeRepair, map[any]any{1: "s", 2: print32, 3: 1, 4: []byte{}, 5: [][]byte{[]byte("\x08" + key)}}),
		"absent with a state":     raw(t, wire.TypeRepair, map[any]any{1: "s", 2: print32, 3: 1, 4: []byte{}, 5: [][]byte{append(mendCell("a\x00\x01k\x00\x01", nil), 1)}}),
	} {
		f, err := wire.Decode(b)
		if !errors.Is(err, wire.ErrFrame) || f != nil {
			t.Errorf("%s: Decode = %#v, %v; want a FrameError", name, f, err)
		}
	}
}
