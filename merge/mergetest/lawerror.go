package mergetest

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
)

// A Law is the name of something a checker demands.
type Law string

// The laws of [Laws].
const (
	Equivalence Law = "equivalence"    // Equal is reflexive, symmetric, transitive
	Cloning     Law = "cloning"        // Clone is equal and shares no mutable memory
	Argument    Law = "argument"       // Merge does not modify its argument
	Aliasing    Law = "aliasing"       // Merge does not retain its argument
	Changed     Law = "changed"        // Merge reports a change if and only if there was one
	Commutative Law = "commutative"    // a ⊔ b = b ⊔ a
	Associative Law = "associative"    // (a ⊔ b) ⊔ c = a ⊔ (b ⊔ c)
	Idempotent  Law = "idempotent"     // a ⊔ a = a
	Bottom      Law = "bottom-neutral" // a ⊔ ⊥ = ⊥ ⊔ a = a, where ⊥ is the zero value
	Monotone    Law = "monotone"       // a ≤ a ⊔ b and b ≤ a ⊔ b
	Canonical   Law = "canonical"      // equal values, and only they, have equal bytes
)

// The laws of [Chain].
const (
	Total      Law = "total"      // Compare is a total order
	Consistent Law = "consistent" // Compare is 0 on equals, and Merge keeps the higher
)

// The laws of [Deltas] and [Orders].
const (
	Delta Law = "delta" // merging what a mutator returns is running it
	Order Law = "order" // order, grouping and repetition of deltas do not matter
)

// The laws of [Codec], next to Canonical and Aliasing.
const (
	RoundTrip Law = "round-trip" // decoding what was encoded gives an equal value
	Truncated Law = "truncated"  // a strict prefix of an encoding is an error
	Trailing  Law = "trailing"   // bytes behind an encoding are an error
)

// ErrLaw is the kind of every [*LawError].
var ErrLaw = errors.New("mergetest: a law is broken")

// A LawError is a counterexample: the law, and the values that break it.
type LawError struct {
	Law   Law
	Type  string // the type that breaks it
	Terms []Term // the inputs, then what came of them
}

// A Term is a named value of a counterexample, printed as Go would write it but
// with pointers followed and maps sorted.
type Term struct{ Name, Value string }

// Error prints the law on one line and each term on a line of its own.
func (e *LawError) Error() string {
	width := 0
	for _, t := range e.Terms {
		width = max(width, len([]rune(t.Name)))
	}
	var b strings.Builder
	fmt.Fprintf(&b, "mergetest: %s breaks the %s law:", e.Type, e.Law)
	for _, t := range e.Terms {
		fmt.Fprintf(&b, "\n\t%-*s = %s", width, t.Name, t.Value)
	}
	return b.String()
}

// Is makes a LawError match [ErrLaw].
func (e *LawError) Is(target error) bool { return target == ErrLaw }

// breach returns the LawError of a law that values of type V break. The terms
// alternate between a name and a value.
func breach[V any](law Law, terms ...any) error {
	e := &LawError{Law: law, Type: reflect.TypeFor[V]().String()}
	for i := 0; i < len(terms); i += 2 {
		e.Terms = append(e.Terms, Term{fmt.Sprint(terms[i]), Show(terms[i+1])})
	}
	return e
}
