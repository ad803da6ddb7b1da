package objects

import (
	"iter"
	"strconv"

	"github.com/joinery-crdt/joinery/cmd/syncd/internal/jsonvalue"
	v1 "github.com/joinery-crdt/joinery/cmd/syncd/internal/v1"
	"github.com/joinery-crdt/joinery/crdt"
	"github.com/joinery-crdt/joinery/sync/node"
)

// Read returns an object of a known type, nil if nothing is stored of it.
func Read(r node.Reader, space string, o node.Object) (*v1.Object, error) {
	first, err := firstCell(r, o)
	if first == nil || err != nil {
		return nil, err
	}
	out := &v1.Object{Space: space, Key: o.Key, Type: o.Kind}
	switch o.Kind {
	case crdt.GSetKind.Name():
		out.Elements, err = collect(node.GSet[value](o.Key).All(r))
	case crdt.TwoPSetKind.Name():
		out.Elements, err = collect(node.TwoPSet[value](o.Key).All(r))
	case crdt.ORSetKind.Name():
		out.Elements, err = collect(node.ORSet[value](o.Key).All(r))
	case crdt.RWSetKind.Name():
		out.Elements, err = collect(node.RWSet[value](o.Key).All(r))
	case crdt.LWWKind.Name():
		err = readLatest(out, first)
	case crdt.MVKind.Name():
		out.Values, err = node.MVRegister[value](o.Key).Values(r)
		out.Conflict = len(out.Values) > 1
	case crdt.PNCounterKind.Name():
		err = readCounter(out, r, o.Key)
	default:
		err = CheckType(o.Kind)
	}
	return out, err
}

// firstCell returns the state of the object's first cell, nil if it has none.
func firstCell(r node.Reader, o node.Object) ([]byte, error) {
	for c, err := range r.Cells(o.Key, o.Kind) {
		return c.State, err
	}
	return nil, nil
}

func collect(all iter.Seq2[value, error]) ([]jsonvalue.Value, error) {
	elements := []jsonvalue.Value{}
	for v, err := range all {
		if err != nil {
			return nil, err
		}
		elements = append(elements, v)
	}
	return elements, nil
}

func readLatest(out *v1.Object, cell []byte) error {
	latest, err := crdt.DecodeLatest(cell)
	if err != nil {
		return err
	}
	out.Value, out.Change, out.Time = latest.Value, latest.Dot.String(), latest.Time.Time()
	return nil
}

func readCounter(out *v1.Object, r node.Reader, key string) error {
	n, err := node.PNCounter(key).Value(r)
	if err != nil {
		return err
	}
	out.Value, err = jsonvalue.Parse(strconv.AppendInt(nil, n, 10))
	return err
}
