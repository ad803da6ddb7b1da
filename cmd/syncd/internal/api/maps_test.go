package api_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	v1 "github.com/joinery-crdt/joinery/cmd/syncd/internal/v1"
	"github.com/joinery-crdt/joinery/crdt"
	"github.com/joinery-crdt/joinery/crdt/object"
	"github.com/joinery-crdt/joinery/sync/node"
)

// cart is a map with an object of each kind of cell in it, and a map.
type cart struct {
	root  object.ORMap[any]
	items object.ORSet[string]
	notes object.LWWMap[int, string]
	total object.PNCounter
	votes object.PNSet[string]
	inner object.ORMap[any]
	stock object.BoundedCounter
	title object.LWWRegister[string]
}

func newCart(key string) cart {
	root := node.ORMap[any](key)
	inner := object.At(root, any("z"), object.NewORMap[any])
	return cart{
		root: root, inner: inner,
		items: object.At(root, any("items"), object.NewORSet[string]),
		notes: object.At(root, any("items"), object.NewLWWMap[int, string]),
		total: object.At(root, any(1), object.NewPNCounter),
		votes: object.At(root, any("votes"), object.NewPNSet[string]),
		stock: object.At(inner, any([]int{1}), object.NewBoundedCounter),
		title: object.At(inner, any("title"), object.NewLWWRegister[string]),
	}
}

func (c cart) fill(tx *node.Tx) error {
	return errors.Join(
		c.items.Add(tx, "milk"), c.items.Add(tx, "bread"), c.notes.Set(tx, 7, "ripe"), c.total.Add(tx, 3),
		c.votes.Add(tx, "yes"), c.stock.Inc(tx, 2), c.title.Set(tx, "Groceries"),
	)
}

// plain returns an answer without what differs from run to run.
func plain(fields []v1.Field) []v1.Field {
	for i := range fields {
		f := &fields[i]
		f.Change, f.Time, f.Fields = "", v1.Field{}.Time, plain(f.Fields)
		if f.Rights != nil {
			f.Rights = map[string]uint64{"own": 2}
		}
	}
	return fields
}

func TestMapOfObjectsIsRead(t *testing.T) {
	d := serve(t, node.Config{})
	c := newCart("cart")
	if err := d.node.Space("s").Update(t.Context(), c.fill); err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		remove any
		want   string
	}{
		{"no such field", `[{"field":1,"type":"pncounter","value":3},` +
			`{"field":"z","type":"ormap","fields":[{"field":"title","type":"lww","value":"Groceries"},{"field":[1],"type":"bounded","value":2,"rights":{"own":2}}]},` +
			`{"field":"items","type":"orset","elements":["milk","bread"]},` +
			`{"field":"items","type":"lwwmap","fields":[{"field":7,"value":"ripe"}]},` +
			`{"field":"votes","type":"pnset","elements":["yes"]}]`},
		{"items", `[{"field":1,"type":"pncounter","value":3},` +
			`{"field":"z","type":"ormap","fields":[{"field":"title","type":"lww","value":"Groceries"},{"field":[1],"type":"bounded","value":2,"rights":{"own":2}}]},` +
			`{"field":"votes","type":"pnset","elements":["yes"]}]`},
		{"z", `[{"field":1,"type":"pncounter","value":3},{"field":"votes","type":"pnset","elements":["yes"]}]`},
		{"votes", `[{"field":1,"type":"pncounter","value":3}]`},
		{1, `[]`},
	} {
		err := d.node.Space("s").Update(t.Context(), func(tx *node.Tx) error { return c.root.Remove(tx, step.remove) })
		if err != nil {
			t.Fatal(err)
		}
		o, err := d.api.Object(t.Context(), "s", "ormap", "cart")
		if err != nil {
			t.Fatal(err)
		}
		if got, _ := json.Marshal(plain(o.Fields)); string(got) != step.want {
			t.Errorf("without %v the map is\n%s, want\n%s", step.remove, got, step.want)
		}
	}
}

func TestDeepMapIsRead(t *testing.T) {
	d := serve(t, node.Config{})
	m := node.ORMap[string]("deep")
	for range crdt.MaxDepth - 1 {
		m = object.At(m, "m", object.NewORMap[string])
	}
	leaf := object.At(m, "m", object.NewEWFlag)
	if err := d.node.Space("s").Update(t.Context(), func(tx *node.Tx) error { return leaf.Enable(tx) }); err != nil {
		t.Fatal(err)
	}
	got := d.get(t, "/v1/spaces/s/objects/ormap/deep")
	if n := strings.Count(got, `"field":"m"`); n != crdt.MaxDepth || !strings.Contains(got, `"type":"ewflag","value":true`) {
		t.Errorf("%d maps in each other: %s, want %d", n, got, crdt.MaxDepth)
	}
}

func TestWatchTellsWhatChangesInAMap(t *testing.T) {
	d := serve(t, node.Config{})
	w := d.watch(t, "s", "")
	c := newCart("cart")
	if err := d.node.Space("s").Update(t.Context(), c.fill); err != nil {
		t.Fatal(err)
	}
	want := map[string]bool{
		`"path":[{"field":"items","type":"orset"}],"element":"milk","present":true`:                true,
		`"path":[{"field":"items","type":"orset"}],"element":"bread","present":true`:               true,
		`"path":[{"field":"items","type":"lwwmap"}],"field":7,"present":true,"value":"ripe"`:       true,
		`"path":[{"field":1,"type":"pncounter"}],"by":3`:                                           true,
		`"path":[{"field":"votes","type":"pnset"}],"element":"yes","by":1`:                         true,
		`"path":[{"field":"z","type":"ormap"},{"field":[1],"type":"bounded"}],"by":2`:              true,
		`"path":[{"field":"z","type":"ormap"},{"field":"title","type":"lww"}],"value":"Groceries"`: true,
	}
	for ev, err := range w.Events(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		b, _ := json.Marshal(ev)
		_, got, _ := strings.Cut(strings.TrimSuffix(string(b), "}"), `"changed":true,`)
		if !want[got] || ev.Type != "ormap" {
			t.Errorf("event %s, want one of %v", b, want)
		}
		if delete(want, got); len(want) == 0 {
			return
		}
	}
}

// TestConflictWithARemovedField: a side that removed the field has no value.
func TestConflictWithARemovedField(t *testing.T) {
	a, b := serve(t, node.Config{}), serve(t, node.Config{})
	a.do(t, "s", v1.Op{Op: "set", Key: "k", Field: value(t, `"f"`), Value: value(t, `null`)})
	b.do(t, "s", v1.Op{Op: "remove", Key: "k", Field: value(t, `"f"`)})
	w := b.watch(t, "s", "")
	carry(t, a, b, "s")
	for ev, err := range w.Events(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		c := ev.Conflict
		if c == nil || (c.Kept.Value == nil) == (c.Other.Value == nil) {
			t.Fatalf("event %+v with conflict %+v, want that one side has no value", ev, c)
		}
		if stays := c.Kept.Value != nil; *ev.Present != stays || ev.Differ != stays || (ev.Value != nil) != stays {
			t.Errorf("event %+v with conflict %+v, want what is kept", ev, c)
		}
		return
	}
}
