package crdt

import (
	"bytes"
	"encoding/binary"
	"slices"

	"github.com/joinery-crdt/joinery/hlc"
	"github.com/joinery-crdt/joinery/internal/varint"
	"github.com/joinery-crdt/joinery/merge"
)

// A fieldKind is how cells of a kind are kept in a field of a map.
type fieldKind interface {
	// check is [Kind.Check], resets included. The dots of w are well-formed.
	check(w Write) error
	// join is [Kind.Join].
	join(cell []byte, seen merge.Dots, w Write) ([]byte, error)
	// merge is [Kind.Merge].
	merge(element []byte, mine, theirs Held) ([]byte, error)
	// state returns the state that the kind itself would keep.
	state(element, cell []byte) ([]byte, error)
	// op returns the op in the map that makes a write of the kind itself.
	op(w Write, before, after []byte) (Op, error)
	// reset is [Resetter.Reset].
	reset(cell []byte) (op Op, needed bool, err error)
}

func fieldKindOf(k Kind) fieldKind {
	if k == PNCounterKind || k == PNSetKind {
		return asItIs{shareKind{k}}
	}
	if k, ok := k.(interface{ inField() fieldKind }); ok {
		return k.inField()
	}
	if k, ok := k.(*causal); ok {
		return causalField{asItIs{k}, k}
	}
	if k, ok := k.(Resetter); ok {
		return asItIs{k}
	}
	return dotted{k}
}

// asItIs keeps the cells of a kind that can be reset.
type asItIs struct{ kind Resetter }

func (f asItIs) check(w Write) error { return f.kind.Check(w) }

func (f asItIs) join(cell []byte, seen merge.Dots, w Write) ([]byte, error) {
	return f.kind.Join(cell, seen, w)
}

func (f asItIs) merge(element []byte, mine, theirs Held) ([]byte, error) {
	return f.kind.Merge(element, mine, theirs)
}

func (f asItIs) state(_, cell []byte) ([]byte, error) { return cell, nil }

func (f asItIs) op(w Write, _, _ []byte) (Op, error) { return w.Op, nil }

func (f asItIs) reset(cell []byte) (Op, bool, error) { return f.kind.Reset(cell) }

// causalField keeps the cells of a causal kind, which are reset by removals.
type causalField struct {
	asItIs
	causal *causal
}

func (f causalField) check(w Write) error { return f.causal.checkInField(w) }

// shareKind resets the shares of counts by their baselines.
type shareKind struct{ Kind }

// Reset returns the op that takes the share seen into its baseline.
func (shareKind) Reset(cell []byte) (op Op, needed bool, err error) {
	share, err := DecodeShare(cell)
	if err != nil || share.Reset() == share {
		return Op{}, false, err
	}
	reset := share.Reset()
	payload, err := reset.AppendBinary(nil)
	return Op{Put: true, Payload: payload}, true, err
}

// dotted keeps cells of a kind that cannot be reset, as the writes whose join
// they are: each under its dot, with its time.
type dotted struct{ kind Kind }

func (f dotted) check(w Write) error {
	if !w.Put {
		return checkEmpty(w.Payload)
	}
	return f.kind.Check(inner(w))
}

// inner returns the write without what it supersedes in the map.
func inner(w Write) Write {
	w.Seen = nil
	return w
}

// outer returns what the map keeps under the dot of w.
func outer(w Write) []byte {
	return append(binary.BigEndian.AppendUint64(make([]byte, 0, hlc.BinaryLen+len(w.Payload)), uint64(w.Time)), w.Payload...)
}

func (f dotted) join(cell []byte, seen merge.Dots, w Write) ([]byte, error) {
	live, err := f.live(w.Element, cell)
	if err != nil {
		return nil, err
	}
	var delta merge.DotFun[[]byte]
	if w.Put {
		delta = merge.DotFunOf(merge.Entry[[]byte]{Dot: w.Dot, Value: outer(w)})
	}
	joined, changed := merge.JoinDotFuns(live, seen, delta, w)
	if !changed {
		return cell, nil
	}
	return encodeDots(joined), nil
}

func (f dotted) merge(element []byte, mine, theirs Held) ([]byte, error) {
	live := func(cell []byte) (merge.DotFun[[]byte], error) { return f.live(element, cell) }
	return mergeDots(f.kind.Name(), live, mine, theirs)
}

// live reads a cell.
func (f dotted) live(element, cell []byte) (merge.DotFun[[]byte], error) {
	live, err := DecodeDots(cell)
	if err != nil {
		return live, err
	}
	for e := range live.All() {
		w, err := kept(element, e)
		if err != nil {
			return live, err
		}
		if err := f.kind.Check(w); err != nil {
			return live, err
		}
	}
	return live, nil
}

// kept returns the write that the map keeps as e.
func kept(element []byte, e merge.Entry[[]byte]) (Write, error) {
	r := varint.NewReader("crdt: write in a field", e.Value)
	w := Write{Dot: e.Dot, Element: element, Op: Op{Put: true}}
	if b := r.Fixed(hlc.BinaryLen); b != nil {
		w.Time = hlc.Timestamp(binary.BigEndian.Uint64(b))
	}
	w.Payload = r.Fixed(r.Len())
	return w, r.Done()
}

func (f dotted) state(element, cell []byte) (state []byte, err error) {
	live, err := f.live(element, cell)
	if err != nil {
		return nil, err
	}
	dots := merge.DotSet(live.Dots())
	i := 0
	for e := range live.All() {
		w, _ := kept(element, e)
		if state, err = f.kind.Join(state, dots[:i], w); err != nil {
			return nil, err
		}
		i++
	}
	return state, nil
}

func (f dotted) op(w Write, before, after []byte) (Op, error) {
	if !w.Put {
		return Op{}, nil
	}
	found, err := f.live(w.Element, before)
	if err != nil {
		return Op{}, err
	}
	left, err := f.live(w.Element, after)
	if err != nil {
		return Op{}, err
	}
	alone, err := f.kind.Join(nil, merge.DotSet{}, inner(w))
	if err != nil {
		return Op{}, err
	}
	var seen []merge.Dot
	for e := range found.All() {
		old := !left.Contains(e.Dot)
		if !old {
			old, err = f.dominates(alone, w, e)
		}
		if err != nil {
			return Op{}, err
		}
		if old {
			seen = append(seen, e.Dot)
		}
	}
	return Op{Seen: seen, Put: true, Payload: w.Payload}, nil
}

// dominates reports whether what is kept as e adds nothing to state, which is w
// alone.
func (f dotted) dominates(state []byte, w Write, e merge.Entry[[]byte]) (bool, error) {
	old, _ := kept(w.Element, e)
	joined, err := f.kind.Join(slices.Clone(state), merge.DotSet{w.Dot}, old)
	return err == nil && bytes.Equal(joined, state), err
}

func (f dotted) reset(cell []byte) (Op, bool, error) {
	live, err := DecodeDots(cell)
	return Op{Seen: live.Dots()}, live.Len() > 0, err
}
