package crdttest

import "fmt"

// Nothing is how the specifications render a register that holds no value.
const Nothing = "nothing"

// LWWRegisterSpec defines a last-writer-wins register: the N of the write with
// the largest time, of equals that of the largest origin. Its verb is "set".
func LWWRegisterSpec(visible Changes) string {
	last, ok := visible.With("set").Last()
	if !ok {
		return Nothing
	}
	return fmt.Sprint(last.N)
}

// MVRegisterSpec defines a multi-value register: the N of every write that no
// other write or clear has seen, in the way of [SortedNumbers]. Its verbs are
// "set" and "clear".
func MVRegisterSpec(visible Changes) string {
	return SortedNumbers(func(yield func(int64) bool) {
		for _, o := range visible.With("set").UnseenBy(visible) {
			if !yield(o.N) {
				return
			}
		}
	})
}
