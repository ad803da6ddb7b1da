package crdttest

import (
	"fmt"
	"slices"
)

// The specifications of sets render the elements that are present, ascending,
// in the way of [Sorted].

// setOf renders the elements of which present holds, given the changes of the
// element.
func setOf(visible Changes, present func(of Changes) bool) string {
	var names []string
	for _, e := range visible.Elements() {
		if present(visible.Of(e)) {
			names = append(names, e)
		}
	}
	return Sorted(slices.Values(names))
}

// GSetSpec defines a grow-only set: what was added. Its verb is "add".
func GSetSpec(visible Changes) string {
	return setOf(visible, func(of Changes) bool { return len(of.With("add")) > 0 })
}

// TwoPSetSpec defines a two-phase set: an element is present if it was added and
// no remove has seen an add of it. Its verbs are "add" and "remove".
func TwoPSetSpec(visible Changes) string {
	return setOf(visible, func(of Changes) bool {
		adds, removes := of.With("add"), of.With("remove")
		return len(adds) > 0 && len(adds.UnseenBy(removes)) == len(adds)
	})
}

// USetSpec defines a set of unique elements: an element is named "e" and the
// number of the change that adds it, and present until one removes it. A change
// "add" adds an element of its own, a change "remove" removes the one that
// [Change.Target] made.
func USetSpec(visible Changes) string {
	gone := map[int]bool{}
	for _, o := range visible.With("remove") {
		if id, ok := o.Target(); ok {
			gone[id] = true
		}
	}
	var names []string
	for _, o := range visible.With("add") {
		if !gone[o.ID] {
			names = append(names, fmt.Sprint("e", o.ID))
		}
	}
	return Sorted(slices.Values(names))
}

// ORSetSpec defines an add-wins set: an element is present if some add of it has
// been seen by no remove. Its verbs are "add" and "remove".
func ORSetSpec(visible Changes) string {
	return setOf(visible, func(of Changes) bool { return len(of.With("add").UnseenBy(of.With("remove"))) > 0 })
}

// RWSetSpec defines a remove-wins set: an element is present if it was added and
// every remove of it has been seen by some add. Its verbs are "add" and
// "remove".
func RWSetSpec(visible Changes) string {
	return setOf(visible, func(of Changes) bool {
		adds := of.With("add")
		return len(adds) > 0 && len(of.With("remove").UnseenBy(adds)) == 0
	})
}

// LWWSetSpec defines a last-writer-wins set that is biased towards adds: an
// element is present if its latest add is not before its latest remove. Its
// verbs are "add" and "remove".
func LWWSetSpec(visible Changes) string {
	return setOf(visible, func(of Changes) bool {
		add, added := of.With("add").Last()
		remove, removed := of.With("remove").Last()
		return added && (!removed || add.Time >= remove.Time)
	})
}

// RemoveBiasedLWWSetSpec is LWWSetSpec with the bias towards removes: on equal times
// the element is absent.
func RemoveBiasedLWWSetSpec(visible Changes) string {
	return setOf(visible, func(of Changes) bool {
		add, added := of.With("add").Last()
		remove, removed := of.With("remove").Last()
		return added && (!removed || add.Time > remove.Time)
	})
}

// PNSetSpec defines a set of counted elements: an element is present if, of what
// no reset of it has seen, more are adds than removes. Its verbs are "add",
// "remove" and "reset".
func PNSetSpec(visible Changes) string {
	return setOf(visible, func(of Changes) bool {
		resets := of.With("reset")
		return len(of.With("add").UnseenBy(resets)) > len(of.With("remove").UnseenBy(resets))
	})
}
