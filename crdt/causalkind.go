package crdt

import (
	"cmp"
	"encoding/binary"
	"errors"

	"github.com/joinery-crdt/joinery/internal/varint"
	"github.com/joinery-crdt/joinery/merge"
)

// The causal kinds: their cells are dot functions, joined under the one context
// of the space.
var (
	// ORSetKind keeps add-wins sets: an element is present while one of its
	// adds has not been seen by a remove.
	ORSetKind Kind = &causal{"orset", checkEmpty, CheckElement}
	// RWSetKind keeps remove-wins sets: an element is present if it was added
	// and every remove has been seen by some add.
	RWSetKind Kind = rwset
	// USetKind keeps unique sets: an element is added once, so that what adds it
	// supersedes nothing.
	USetKind Kind = uset
	// MVKind keeps multi-value registers: all values that no later write has
	// seen.
	MVKind Kind = &causal{"mvregister", CheckValue, checkSingle}
	// EWFlagKind keeps enable-wins flags: enabled while an enable has not been
	// seen by a disable.
	EWFlagKind Kind = &causal{"ewflag", checkEmpty, checkSingle}
	// DWFlagKind keeps disable-wins flags: enabled if enabled once and every
	// disable has been seen by some enable.
	DWFlagKind Kind = dwflag
)

var (
	rwset  = &causal{"rwset", checkPolarity, CheckElement}
	uset   = &causal{"uset", checkEmpty, CheckElement}
	dwflag = &causal{"dwflag", checkPolarity, checkSingle}
)

// The payloads of the writes of an RWSet and a DWFlag.
var (
	Added   = []byte{1} // the element was added, the flag enabled
	Removed = []byte{0} // the element was removed, the flag disabled
)

// causal is a kind whose cells are dot functions of payloads.
type causal struct {
	name    string
	payload func([]byte) error // what a Put may store
	element func([]byte) error // what a cell may be named
}

func (k causal) Name() string { return k.name }

// Check accepts a Put with a payload of the kind, or a bare removal where the
// kind has them.
func (k causal) Check(w Write) error {
	if !w.Put && (k.name == rwset.name || k.name == dwflag.name) {
		return &WriteError{k.name, "a removal that stores nothing"}
	}
	return k.checkInField(w)
}

// checkInField is Check in a field of a map, where every kind has bare removals:
// they reset the field.
func (k causal) checkInField(w Write) error {
	if err := k.element(w.Element); err != nil {
		return &WriteError{k.name, err.Error()}
	}
	if problem := w.wellFormed(); problem != "" {
		return &WriteError{k.name, problem}
	}
	if w.Put {
		if err := k.payload(w.Payload); err != nil {
			return &WriteError{k.name, err.Error()}
		}
		if k.name == uset.name && len(w.Seen) > 0 {
			return &WriteError{k.name, "it adds an element that its author had"}
		}
		return nil
	}
	if len(w.Payload) != 0 {
		return &WriteError{k.name, "a removal with a payload"}
	}
	return nil
}

// Reset removes every live dot of the cell.
func (k causal) Reset(cell []byte) (op Op, needed bool, err error) {
	live, err := k.live(cell)
	if err != nil {
		return Op{}, false, err
	}
	return Op{Seen: live.Dots()}, live.Len() > 0, nil
}

// Join removes what the writer had seen and stores what it put.
func (k causal) Join(cell []byte, seen merge.Dots, w Write) ([]byte, error) {
	live, err := k.live(cell)
	if err != nil {
		return nil, err
	}
	var delta merge.DotFun[[]byte]
	if w.Put {
		delta = merge.DotFunOf(merge.Entry[[]byte]{Dot: w.Dot, Value: w.Payload})
	}
	if cell == nil { // nothing to join with, as for most cells
		return encodeDots(delta), nil
	}
	joined, changed := merge.JoinDotFuns(live, seen, delta, w)
	if !changed {
		return cell, nil
	}
	return encodeDots(joined), nil
}

// Merge keeps what both hold, and what one holds and the other has not seen.
func (k causal) Merge(element []byte, mine, theirs Held) ([]byte, error) {
	if err := k.element(element); err != nil {
		return nil, &CellError{k.name, err}
	}
	return mergeDots(k.name, k.live, mine, theirs)
}

// mergeDots merges cells that are dot functions, as live reads them.
func mergeDots(kind string, live func(cell []byte) (merge.DotFun[[]byte], error), mine, theirs Held) ([]byte, error) {
	held, err := live(mine.Cell)
	if err != nil {
		return nil, err
	}
	more, err := live(theirs.Cell)
	if err != nil {
		return nil, err
	}
	for e := range more.All() {
		if !theirs.Seen.Contains(e.Dot) {
			return nil, &CellError{kind, errUnseen}
		}
	}
	joined, changed := merge.JoinDotFuns(held, mine.Seen, more, theirs.Seen)
	if !changed {
		return mine.Cell, nil
	}
	return encodeDots(joined), nil
}

// errUnseen: a cell holds what its holder has not applied.
var errUnseen = errors.New("it holds a dot that its holder has not seen")

// live reads a cell of the kind. The error is a [*CellError].
func (k causal) live(cell []byte) (merge.DotFun[[]byte], error) {
	live, err := DecodeDots(cell)
	for e := range live.All() {
		err = cmp.Or(err, k.payload(e.Value))
	}
	if err != nil {
		return merge.DotFun[[]byte]{}, &CellError{k.name, err}
	}
	return live, nil
}

// DecodeDots reads the cell of a causal kind: its live dots and their payloads,
// which alias cell. A nil cell is empty.
func DecodeDots(cell []byte) (merge.DotFun[[]byte], error) {
	if cell == nil {
		return merge.DotFun[[]byte]{}, nil
	}
	r := varint.NewReader("crdt: cell", cell)
	entries := make([]merge.Entry[[]byte], r.Count(18))
	for i := range entries {
		var d merge.Dot
		copy(d.Origin[:], r.Fixed(len(d.Origin)))
		d.Seq = r.Uvarint()
		if d.Seq == 0 || d.Seq > merge.MaxSeq || i > 0 && d.Compare(entries[i-1].Dot) <= 0 {
			r.Fail("dots out of order or range")
		}
		entries[i] = merge.Entry[[]byte]{Dot: d, Value: r.Bytes()}
	}
	if len(entries) == 0 {
		r.Fail("a cell without dots")
	}
	if err := r.Done(); err != nil {
		return merge.DotFun[[]byte]{}, err
	}
	return merge.DotFunOf(entries...), nil
}

// encodeDots returns the form DecodeDots reads, nil for an empty one.
func encodeDots(f merge.DotFun[[]byte]) []byte {
	if f.Len() == 0 {
		return nil
	}
	size := 10
	for e := range f.All() {
		size += 16 + 10 + 5 + len(e.Value)
	}
	b := binary.AppendUvarint(make([]byte, 0, size), uint64(f.Len()))
	for e := range f.All() {
		b = append(b, e.Dot.Origin[:]...)
		b = binary.AppendUvarint(b, e.Dot.Seq)
		b = varint.AppendBytes(b, e.Value)
	}
	return b
}

// Supersede returns the op by which a writer that sees cell, of a causal kind,
// removes what is there and, if put, stores payload in its place.
func Supersede(cell []byte, put bool, payload []byte) (Op, error) {
	live, err := DecodeDots(cell)
	if err != nil {
		return Op{}, err
	}
	return Op{Seen: live.Dots(), Put: put, Payload: payload}, nil
}

// RWSetHas reports whether the element whose cell is given is in a remove-wins
// set.
func RWSetHas(cell []byte) (bool, error) { return rwset.prevails(cell) }

// DWFlagEnabled reports whether the disable-wins flag whose cell is given is
// enabled.
func DWFlagEnabled(cell []byte) (bool, error) { return dwflag.prevails(cell) }

// prevails reports whether the cell, of a kind with polarity, holds something
// and no removal.
func (k causal) prevails(cell []byte) (bool, error) {
	live, err := k.live(cell)
	if err != nil {
		return false, err
	}
	for e := range live.All() {
		if string(e.Value) == string(Removed) {
			return false, nil
		}
	}
	return live.Len() > 0, nil
}

// CheckElement returns a [*ValueError] unless b is the encoding of an element.
func CheckElement(b []byte) error {
	if len(b) > MaxElement {
		return &ValueError{"an element over the limit", nil}
	}
	return CheckValue(b)
}

func checkEmpty(payload []byte) error {
	if len(payload) != 0 {
		return &ValueError{"a payload where none belongs", nil}
	}
	return nil
}

func checkPolarity(payload []byte) error {
	if len(payload) != 1 || payload[0] > 1 {
		return &ValueError{"neither an add nor a remove", nil}
	}
	return nil
}

// checkSingle accepts the name of the only cell of an object.
func checkSingle(element []byte) error {
	if len(element) != 0 {
		return &ValueError{"an object of this type has one cell, without a name", nil}
	}
	return nil
}
