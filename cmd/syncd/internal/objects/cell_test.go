package objects_test

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/joinery-crdt/joinery/cmd/syncd/internal/objects"
	"github.com/joinery-crdt/joinery/crdt"
	"github.com/joinery-crdt/joinery/crdt/object"
	"github.com/joinery-crdt/joinery/store/memstore"
	crdtsync "github.com/joinery-crdt/joinery/sync"
	"github.com/joinery-crdt/joinery/sync/node"
)

// fill writes to an object of every type.
func fill(tx *node.Tx) error {
	cart := node.ORMap[string]("k")
	return errors.Join(
		node.GSet[string]("k").Add(tx, "a"),
		node.TwoPSet[string]("k").Add(tx, "a"),
		node.ORSet[string]("k").Add(tx, "a"),
		node.RWSet[string]("k").Remove(tx, "a"),
		node.USet[string]("k").Add(tx, "a"),
		node.LWWSet[string]("k").Add(tx, "a"),
		node.RemoveBiasedLWWSet[string]("k").Remove(tx, "a"),
		node.PNSet[string]("k").Remove(tx, "a"),
		node.LWW[int]("k").Set(tx, 1),
		node.MVRegister[int]("k").Set(tx, 1),
		node.PNCounter("k").Add(tx, -2),
		node.GCounter("k").Add(tx, 2),
		node.BoundedCounter("k").Inc(tx, 3),
		node.EWFlag("k").Enable(tx),
		node.DWFlag("k").Disable(tx),
		node.LWWMap[int, string]("k").Set(tx, 1, "one"),
		node.LWWMap[int, string]("k").Delete(tx, 2),
		object.At(cart, "n", object.NewGCounter).Add(tx, 4),
		object.At(cart, "s", object.NewORSet[string]).Add(tx, "a"),
		object.At(cart, "t", object.NewLWWMap[int, string]).Set(tx, 1, "one"),
	)
}

func TestDescribe(t *testing.T) {
	n, err := node.Open(t.Context(), node.Config{Store: memstore.New()})
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	s := n.Space("s")
	if err := s.Update(t.Context(), fill); err != nil {
		t.Fatal(err)
	}
	var got []string
	err = s.View(t.Context(), func(v *node.View) error {
		for _, kind := range crdt.Builtin().Names() {
			for c, err := range v.Cells("k", kind) {
				if err != nil {
					return err
				}
				key, _ := crdtsync.CellKey{Object: "k", Kind: kind, Element: c.Element}.AppendBinary(nil)
				b, _ := json.Marshal(objects.Describe("s", key, c.State))
				got = append(got, string(b))
			}
		}
		return nil
	})
	want := []string{
		`{"key":"k","type":"bounded","value":3}`,
		`{"key":"k","type":"dwflag","value":false}`,
		`{"key":"k","type":"ewflag","value":true}`,
		`{"key":"k","type":"gcounter","value":2}`,
		`{"key":"k","type":"gset","element":"a","value":true}`,
		`{"key":"k","type":"lww","value":1}`,
		`{"key":"k","type":"lwwmap","element":1,"value":"one"}`,
		`{"key":"k","type":"lwwmap","element":2}`,
		`{"key":"k","type":"lwwset","element":"a","value":true}`,
		`{"key":"k","type":"lwwset-remove","element":"a","value":false}`,
		`{"key":"k","type":"mvregister","value":[1]}`,
		`{"key":"k","type":"ormap","element":{"path":[{"field":"n","type":"gcounter"}]},"value":4}`,
		`{"key":"k","type":"ormap","element":{"path":[{"field":"s","type":"orset"}],"element":"a"},"value":true}`,
		`{"key":"k","type":"ormap","element":{"path":[{"field":"t","type":"lwwmap"}],"field":1},"value":"one"}`,
		`{"key":"k","type":"orset","element":"a","value":true}`,
		`{"key":"k","type":"pncounter","value":-2}`,
		`{"key":"k","type":"pnset","element":"a","value":-1}`,
		`{"key":"k","type":"rwset","element":"a","value":false}`,
		`{"key":"k","type":"twopset","element":"a","value":true}`,
		`{"key":"k","type":"uset","element":"a","value":true}`,
	}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%v\n got %s\nwant %s", err, strings.Join(got, "\n     "), strings.Join(want, "\n     "))
	}
}
