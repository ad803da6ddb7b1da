package objects

import (
	"iter"
	"strconv"

	"github.com/joinery-crdt/joinery/cmd/syncd/internal/jsonvalue"
	v1 "github.com/joinery-crdt/joinery/cmd/syncd/internal/v1"
	"github.com/joinery-crdt/joinery/crdt"
	"github.com/joinery-crdt/joinery/crdt/object"
	"github.com/joinery-crdt/joinery/sync/node"
)

// A reading reads what one object holds, of one type.
type reading func(out *v1.Content, s object.Space, key string) error

// readings is how objects are read, by type; those of maps of objects are read
// by [readMap].
var readings = map[string]reading{
	crdt.GSetKind.Name():               elements(node.GSet[value]),
	crdt.TwoPSetKind.Name():            elements(node.TwoPSet[value]),
	crdt.ORSetKind.Name():              elements(node.ORSet[value]),
	crdt.RWSetKind.Name():              elements(node.RWSet[value]),
	crdt.USetKind.Name():               elements(node.USet[value]),
	crdt.LWWSetKind.Name():             elements(node.LWWSet[value]),
	crdt.RemoveBiasedLWWSetKind.Name(): elements(node.RemoveBiasedLWWSet[value]),
	crdt.PNSetKind.Name():              elements(node.PNSet[value]),
	crdt.LWWKind.Name():                readLatest,
	crdt.MVKind.Name():                 readMulti,
	crdt.PNCounterKind.Name():          readCounter,
	crdt.GCounterKind.Name():           readTotal,
	crdt.BoundedKind.Name():            readBounded,
	crdt.EWFlagKind.Name():             enabled(node.EWFlag),
	crdt.DWFlagKind.Name():             enabled(node.DWFlag),
	mapOfLatest:                        readLatestMap,
}

// Read returns an object of a known type, nil if nothing is stored of it.
func Read(r node.Reader, space string, o node.Object) (*v1.Object, error) {
	if err := CheckType(o.Kind); err != nil {
		return nil, err
	}
	if stored, err := isStored(r, o); err != nil || !stored {
		return nil, err
	}
	out := &v1.Object{Space: space, Key: o.Key, Type: o.Kind}
	if o.Kind == mapOfObjects {
		return out, readMap(&out.Content, r, o)
	}
	return out, readings[o.Kind](&out.Content, r, o.Key)
}

// isStored reports whether the object has a cell.
func isStored(r node.Reader, o node.Object) (bool, error) {
	for _, err := range r.Cells(o.Key, o.Kind) {
		return err == nil, err
	}
	return false, nil
}

// elements reads sets.
func elements[S interface {
	All(s object.Space) iter.Seq2[value, error]
}](set func(key string) S) reading {
	return func(out *v1.Content, s object.Space, key string) error {
		out.Elements = []jsonvalue.Value{}
		for v, err := range set(key).All(s) {
			if err != nil {
				return err
			}
			out.Elements = append(out.Elements, v)
		}
		return nil
	}
}

// enabled reads flags.
func enabled[F interface {
	Enabled(s object.Space) (bool, error)
}](flag func(key string) F) reading {
	return func(out *v1.Content, s object.Space, key string) error {
		is, err := flag(key).Enabled(s)
		if err != nil {
			return err
		}
		return setJSON(out, strconv.AppendBool(nil, is))
	}
}

// setJSON sets the value that a text stands for.
func setJSON(out *v1.Content, text []byte) (err error) {
	out.Value, err = jsonvalue.Parse(text)
	return err
}

func readLatest(out *v1.Content, s object.Space, key string) error {
	cell, err := s.Reader(key, crdt.LWWKind.Name()).Cell("")
	if err != nil {
		return err
	}
	latest, err := crdt.DecodeLatest(cell)
	setLatest(out, latest)
	return err
}

func setLatest(out *v1.Content, latest crdt.Latest) {
	out.Value, out.Change, out.Time = latest.Value, latest.Dot.String(), latest.Time.Time()
}

func readMulti(out *v1.Content, s object.Space, key string) (err error) {
	out.Values, err = node.MVRegister[value](key).Values(s)
	out.Conflict = len(out.Values) > 1
	return err
}

func readCounter(out *v1.Content, s object.Space, key string) error {
	n, err := node.PNCounter(key).Value(s)
	if err != nil {
		return err
	}
	return setJSON(out, strconv.AppendInt(nil, n, 10))
}

func readTotal(out *v1.Content, s object.Space, key string) error {
	n, err := node.GCounter(key).Value(s)
	if err != nil {
		return err
	}
	return setJSON(out, strconv.AppendUint(nil, n, 10))
}

func readBounded(out *v1.Content, s object.Space, key string) error {
	counter, err := node.BoundedCounter(key).Read(s)
	if err != nil {
		return err
	}
	out.Rights = make(map[string]uint64)
	for origin, n := range counter.Holders() {
		out.Rights[origin.String()] = n
	}
	return setJSON(out, strconv.AppendUint(nil, counter.Value(), 10))
}

// readLatestMap reads the fields that have a value, with the change of each.
func readLatestMap(out *v1.Content, s object.Space, key string) error {
	out.Fields = []v1.Field{}
	for c, err := range s.Reader(key, mapOfLatest).Cells("") {
		if err != nil {
			return err
		}
		latest, err := crdt.DecodeField(c.State)
		if err != nil {
			return err
		}
		if len(latest.Value) == 0 {
			continue
		}
		f := v1.Field{Field: jsonvalue.Value(c.Element)}
		setLatest(&f.Content, latest)
		out.Fields = append(out.Fields, f)
	}
	return nil
}
