package crdttest

import (
	"fmt"
	"slices"
)

// ORMapSpec defines a map whose removes reset what they have seen: a field,
// named by Element, holds what inner makes of those of its changes that no
// change with the verb drop, which removes the field, has seen. A field of which
// inner makes absent is not there. The others are rendered by [Field].
func ORMapSpec(drop string, inner Spec, absent string) Spec {
	return func(visible Changes) string {
		var fields []string
		for _, e := range visible.Elements() {
			of := visible.Of(e)
			left := of.Without(drop).UnseenBy(of.With(drop))
			if v := inner(left); v != absent {
				fields = append(fields, Field(e, v))
			}
		}
		return Sorted(slices.Values(fields))
	}
}

// Field renders a field of a map in the way of the specifications.
func Field(key, value string) string { return fmt.Sprintf("%s(%s)", key, value) }

// ByNumber is the specification of what has its elements in N, not in Element:
// what lies inside a field, which Element names.
func ByNumber(s Spec) Spec {
	return func(visible Changes) string {
		renamed := slices.Clone(visible)
		for i := range renamed {
			renamed[i].Element = fmt.Sprint("n", renamed[i].N)
		}
		return s(renamed)
	}
}

// LWWMapSpec defines a map in which the latest write of each field wins: a field
// holds the N of its last change, by time and then origin, unless that is a
// "delete". Its verbs are "set" and "delete".
func LWWMapSpec(visible Changes) string {
	var fields []string
	for _, e := range visible.Elements() {
		if last, ok := visible.Of(e).Last(); ok && last.Verb == "set" {
			fields = append(fields, Field(e, fmt.Sprint(last.N)))
		}
	}
	return Sorted(slices.Values(fields))
}
