package simnet

import (
	"slices"
	"strconv"
	"strings"

	"github.com/joinery-crdt/joinery/crdt"
)

// The names of the kinds, in the order of Knobs.Kinds.
var kindNames = []string{
	crdt.GSetKind.Name(), crdt.TwoPSetKind.Name(), crdt.ORSetKind.Name(), crdt.RWSetKind.Name(),
	crdt.MVKind.Name(), crdt.LWWKind.Name(), crdt.PNCounterKind.Name(),
}

const (
	gset       = "gset"
	twopset    = "twopset"
	orset      = "orset"
	rwset      = "rwset"
	mvregister = "mvregister"
	lww        = "lww"
	pncounter  = "pncounter"
)

// present is what the specification says of an element that is in its set.
const present = "present"

// A spec says what a thing holds after a set of changes, from nothing but what
// the changes did and which of them happened before which. Nothing is "".
type spec func(touches []touch) string

// specs are the meanings of the kinds, written for clarity and not for speed.
var specs = map[string]spec{
	gset:       func(ts []touch) string { return presence(anyOf(ts, Add)) },
	twopset:    func(ts []touch) string { return presence(anyOf(ts, Add) && !anyOf(ts, Remove)) },
	orset:      addWins,
	rwset:      removeWins,
	mvregister: unseenValues,
	lww:        latestValue,
	pncounter:  unresetSum,
}

func presence(is bool) string {
	if is {
		return present
	}
	return ""
}

func anyOf(ts []touch, do Action) bool {
	return slices.ContainsFunc(ts, func(t touch) bool { return t.op.Do == do })
}

// seenBy reports whether some op of the given sort has seen t.
func (t touch) seenBy(ts []touch, do Action) bool {
	return slices.ContainsFunc(ts, func(o touch) bool { return o.op.Do == do && t.before(o.record) })
}

// addWins: present while an add has been seen by no remove.
func addWins(ts []touch) string {
	return presence(slices.ContainsFunc(ts, func(t touch) bool {
		return t.op.Do == Add && !t.seenBy(ts, Remove)
	}))
}

// removeWins: present if added, and every remove has been seen by some add.
func removeWins(ts []touch) string {
	return presence(anyOf(ts, Add) && !slices.ContainsFunc(ts, func(t touch) bool {
		return t.op.Do == Remove && !t.seenBy(ts, Add)
	}))
}

// unseenValues: the values that no later write or clear has seen.
func unseenValues(ts []touch) string {
	var values []string
	for _, t := range ts {
		if t.op.Do == Set && !t.seenBy(ts, Set) && !t.seenBy(ts, Clear) {
			values = append(values, t.op.value())
		}
	}
	slices.Sort(values)
	return strings.Join(values, " | ")
}

// latestValue: the value with the largest (time, origin).
func latestValue(ts []touch) string {
	if len(ts) == 0 {
		return ""
	}
	return slices.MaxFunc(ts, func(a, b touch) int {
		if c := a.time.Compare(b.time); c != 0 {
			return c
		}
		return a.dot.Compare(b.dot)
	}).op.value()
}

// unresetSum: the sum of the increments that no reset has seen.
func unresetSum(ts []touch) string {
	sum := int64(0)
	for _, t := range ts {
		if t.op.Do == Count && !t.seenBy(ts, Zero) {
			sum += t.op.N
		}
	}
	if sum == 0 {
		return ""
	}
	return strconv.FormatInt(sum, 10)
}

// value is the value that a Set writes, for people.
func (op Op) value() string { return "v" + strconv.FormatInt(op.N, 10) }

// among returns the touches of changes in visible.
func among(ts []touch, visible bitset) []touch {
	in := make([]touch, 0, len(ts))
	for _, t := range ts {
		if visible.has(t.id) {
			in = append(in, t)
		}
	}
	return in
}

// liveDots is the dots that a cell of a causal kind keeps: of the writes that
// no later one has seen. It is more than the specification asks for, and shows
// dots that were forgotten or left behind.
func liveDots(ts []touch) string {
	var dots []string
	for _, t := range ts {
		stores := t.op.Do == Add || t.op.Do == Set || t.op.Kind == rwset
		seen := slices.ContainsFunc(ts, func(o touch) bool { return t.before(o.record) })
		if stores && !seen {
			dots = append(dots, t.label)
		}
	}
	slices.Sort(dots)
	return strings.Join(dots, " ")
}
