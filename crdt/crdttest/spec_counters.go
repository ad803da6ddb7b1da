package crdttest

import (
	"fmt"
	"strings"
)

// GCounterSpec defines a grow-only counter: the sum of what was added, which is
// the absolute value of N. Its verb is "add".
func GCounterSpec(visible Changes) string {
	total := int64(0)
	for _, o := range visible.With("add") {
		total += o.Amount()
	}
	return fmt.Sprint(total)
}

// PNCounterSpec defines a counter that can be reset: the sum of the N that were
// added and that no reset has seen. Its verbs are "add" and "reset".
func PNCounterSpec(visible Changes) string {
	return fmt.Sprint(visible.With("add").UnseenBy(visible.With("reset")).Sum())
}

// BoundedCounterSpec defines a counter of rights, bounded by 0 from below: the
// value, and for each replica the rights that it may spend, as in "5: 2 3 0".
// Its verbs are "inc" and "dec", by [Change.Amount], and "transfer", of as much
// to [Change.Recipient]; what would spend rights that the author does not have
// is refused.
func BoundedCounterSpec(visible Changes) string {
	total, rights := balances(visible)
	return fmt.Sprintf("%d: %s", total, strings.Trim(fmt.Sprint(rights), "[]"))
}

// BoundedFieldSpec defines what [BoundedCounterSpec] does in the field of a map:
// the rights that are left of the changes no removal has seen. Who spends, or
// gives away, what is removed at the same time has less than none, and counts
// for 0 until it has counted up by as much.
func BoundedFieldSpec(visible Changes) string {
	_, rights := balances(visible)
	total := int64(0)
	for i := range rights {
		rights[i] = max(rights[i], 0)
		total += rights[i]
	}
	return fmt.Sprintf("%d: %s", total, strings.Trim(fmt.Sprint(rights), "[]"))
}

// balances returns what a bounded counter comes to, and whose that is.
func balances(visible Changes) (total int64, rights [Replicas]int64) {
	for _, o := range visible {
		author, n := replica(o.Origin), o.Amount()
		switch o.Verb {
		case "inc":
			total += n
			rights[author] += n
		case "dec":
			total -= n
			rights[author] -= n
		case "transfer":
			rights[author] -= n
			rights[replica(o.Recipient())] += n
		}
	}
	return total, rights
}

// EWFlagSpec defines an enable-wins flag: it is on if some enable has been seen
// by no disable. Its verbs are "enable" and "disable".
func EWFlagSpec(visible Changes) string {
	return fmt.Sprint(len(visible.With("enable").UnseenBy(visible.With("disable"))) > 0)
}

// DWFlagSpec defines a disable-wins flag: it is on if it was enabled and every
// disable has been seen by some enable. Its verbs are "enable" and "disable".
func DWFlagSpec(visible Changes) string {
	on := visible.With("enable")
	return fmt.Sprint(len(on) > 0 && len(visible.With("disable").UnseenBy(on)) == 0)
}
