package crdt

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/joinery-crdt/joinery/hlc"
	"github.com/joinery-crdt/joinery/merge"
)

// A Kind keeps the objects of one type as cells, the smallest parts that merge
// by themselves: one element of a set, one register, one origin's share of a
// counter. A node stores cells and applies writes to them one by one.
//
// Kinds are stateless, comparable and safe for concurrent use.
type Kind interface {
	// Name is the name of the type in changes, keys and APIs.
	Name() string
	// Check returns an error if no writer of this kind makes such a write. It
	// is where trust in a remote write ends, and it retains nothing.
	Check(w Write) error
	// Join returns the cell after the write. A nil cell is an absent one, and
	// a nil result says that nothing is left. seen is what the holder of the
	// cell has applied; it contains every live dot of the cell and not w.Dot.
	// A cell that Join itself never returned is a [*CellError]. Join does not
	// modify cell, and its result may alias cell or w.Payload.
	Join(cell []byte, seen merge.Dots, w Write) ([]byte, error)
	// Merge returns what two holders of one cell have together: the cell after
	// all writes that either has applied. mine is a cell as Join returned it;
	// theirs may come from anywhere and is where trust in it ends. What is no
	// cell, or holds what its holder has not seen, is a [*CellError]. Merge
	// modifies nothing, and its result may alias either cell.
	Merge(element []byte, mine, theirs Held) ([]byte, error)
}

// Held is a cell and what its holder has applied.
type Held struct {
	Cell []byte     // nil if absent
	Seen merge.Dots // it contains every live dot of the cell
}

// A Write is what one change does to one cell.
type Write struct {
	Dot     merge.Dot     // of the change
	Time    hlc.Timestamp // of the change
	Element []byte        // the name of the cell within its object
	Op
}

// An Op is the part of a write that its author decides.
type Op struct {
	// Seen is the live dots of the cell that the author saw and supersedes.
	Seen merge.DotSet
	// Put says that the write stores Payload under its dot (causal kinds) or
	// joins it (the others). Without it the write only supersedes.
	Put     bool
	Payload []byte
}

// Contains reports whether the writer had seen d when it wrote: the context
// under which a write is joined.
func (w Write) Contains(d merge.Dot) bool { return d == w.Dot || w.Seen.Contains(d) }

// wellFormed returns a problem with the dots of the write, or "": those it
// supersedes ascend and can be told from its own.
func (w Write) wellFormed() string {
	for i, d := range w.Seen {
		switch {
		case d.Seq == 0 || d.Seq > merge.MaxSeq:
			return "it supersedes a dot that names no change"
		case i > 0 && d.Compare(w.Seen[i-1]) <= 0:
			return "the dots it supersedes are out of order"
		case d.Origin == w.Dot.Origin && d.Seq >= w.Dot.Seq:
			return "it supersedes itself or a later change"
		}
	}
	return ""
}

// ErrWrite is the kind of every [*WriteError].
var ErrWrite = errors.New("crdt: malformed write")

// A WriteError reports a write that no writer of a kind makes.
type WriteError struct {
	Kind    string
	Problem string
}

// Error says what is wrong.
func (e *WriteError) Error() string { return fmt.Sprintf("crdt: %s write: %s", e.Kind, e.Problem) }

// Is makes a WriteError match [ErrWrite].
func (e *WriteError) Is(target error) bool { return target == ErrWrite }

// A CellError reports stored bytes that are not a cell of their kind.
type CellError struct {
	Kind string
	Err  error
}

// Error says what is wrong.
func (e *CellError) Error() string {
	return fmt.Sprintf("crdt: damaged %s cell: %v", e.Kind, e.Err)
}

// Unwrap returns the cause.
func (e *CellError) Unwrap() error { return e.Err }

// Kinds is a set of kinds by name. It must not change once in use.
type Kinds map[string]Kind

// Builtin returns the kinds of this package in a map of the caller's own, to
// which it may add its own kinds. They are those that a field of a map can have.
func Builtin() Kinds {
	kinds := NewKinds(
		GSetKind, TwoPSetKind, ORSetKind, RWSetKind, PNCounterKind, LWWKind, MVKind,
		USetKind, LWWSetKind, RemoveBiasedLWWSetKind, PNSetKind, LWWMapKind,
		GCounterKind, BoundedKind, EWFlagKind, DWFlagKind,
	)
	kinds[mapName] = NewMapKind(kinds)
	return kinds
}

// NewKinds returns the set of the kinds given.
func NewKinds(kinds ...Kind) Kinds {
	m := make(Kinds, len(kinds))
	for _, k := range kinds {
		m[k.Name()] = k
	}
	return m
}

// Add adds kinds under their names. The error is a [*KindError] about a name
// that is taken or empty; then nothing is added.
func (k Kinds) Add(kinds ...Kind) error {
	for i, kind := range kinds {
		name := kind.Name()
		same := slices.ContainsFunc(kinds[:i], func(other Kind) bool { return other.Name() == name })
		if _, taken := k[name]; taken || same || name == "" {
			return &KindError{name, "the name is taken or empty; choose another"}
		}
	}
	for _, kind := range kinds {
		k[kind.Name()] = kind
	}
	return nil
}

// Names returns the names, ascending.
func (k Kinds) Names() []string { return slices.Sorted(maps.Keys(k)) }
