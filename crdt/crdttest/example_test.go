package crdttest_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/joinery-crdt/joinery/crdt"
	"github.com/joinery-crdt/joinery/crdt/crdttest"
	"github.com/joinery-crdt/joinery/crdt/object"
)

// A Tags is a stranger's type: labels that can be put on, and taken off for
// good. What is taken off may never have been put on.
type Tags struct{ on, off map[string]bool }

// Put puts a label on and returns the delta.
func (t *Tags) Put(label string) *Tags { return t.merged(&Tags{on: map[string]bool{label: true}}) }

// Ban takes a label off for good and returns the delta.
func (t *Tags) Ban(label string) *Tags { return t.merged(&Tags{off: map[string]bool{label: true}}) }

func (t *Tags) merged(delta *Tags) *Tags {
	t.Merge(delta)
	return delta
}

// String returns the labels that are on.
func (t *Tags) String() string {
	return crdttest.Sorted(func(yield func(string) bool) {
		for label := range t.on {
			if !t.off[label] && !yield(label) {
				return
			}
		}
	})
}

// Merge, Equal and Clone make Tags a lattice.
func (t *Tags) Merge(from *Tags) bool {
	had := len(t.on) + len(t.off)
	t.on, t.off = union(t.on, from.on), union(t.off, from.off)
	return len(t.on)+len(t.off) > had
}

func (t *Tags) Equal(o *Tags) bool { return maps.Equal(t.on, o.on) && maps.Equal(t.off, o.off) }

func (t *Tags) Clone() *Tags { return &Tags{maps.Clone(t.on), maps.Clone(t.off)} }

func union(a, b map[string]bool) map[string]bool {
	if a == nil {
		a = map[string]bool{}
	}
	maps.Copy(a, b)
	return a
}

// tags tells the kit how to use the type, and what its value should be: a label
// is on if it was put on and nobody banned it.
var tags = crdttest.Form[*Tags]{
	Verbs: []string{"put", "put", "ban"},
	New:   func() *Tags { return &Tags{} },
	Apply: func(t *Tags, c crdttest.Change) (*Tags, error) {
		if c.Verb == "put" {
			return t.Put(c.Element), nil
		}
		return t.Ban(c.Element), nil
	},
	Read: (*Tags).String,
	Spec: func(visible crdttest.Changes) string {
		banned := visible.With("ban").Elements()
		labels := slices.DeleteFunc(visible.With("put").Elements(), func(l string) bool { return slices.Contains(banned, l) })
		return crdttest.Sorted(slices.Values(labels))
	},
}

// A type of one's own, proved: against its specification, in histories with
// lost, repeated and reordered messages, and by the laws.
func ExampleCheck() {
	fmt.Println(crdttest.Check(tags, crdttest.Options{}))
	// Output: <nil>
}

// Suppose a ban should hold only against what was put on before it. Tags are not
// that type, and the failure shows a history that tells the two apart.
func ExampleCheck_wrong() {
	wanted := tags
	wanted.Spec = func(visible crdttest.Changes) string {
		on := slices.DeleteFunc(visible.Elements(), func(label string) bool {
			of := visible.Of(label)
			return len(of.With("put").UnseenBy(of.With("ban"))) == 0
		})
		return crdttest.Sorted(slices.Values(on))
	}
	err := crdttest.Check(wanted, crdttest.Options{Seed: 1})
	fmt.Println(errors.Is(err, crdttest.ErrFailure))
	fmt.Println(err)
	// Output:
	// true
	// crdttest: *crdttest_test.Tags breaks its specification:
	// 	B: #0 = put e0 1 at time 1
	// 	A: #1 = ban e0 1 at time 1
	// 	D receives every message, the last sent first
	// 	D has "", the specification says "e0"
}

// A kind, whose objects are cells of a space, through the reference that an
// application writes it with.
func ExampleCheckKind() {
	views := object.NewPNCounter(crdttest.Key)
	err := crdttest.CheckKind(crdttest.KindForm{
		Kind:  crdt.PNCounterKind,
		Verbs: []string{"add", "reset"},
		Apply: func(tx object.Tx, c crdttest.Change) error {
			if c.Verb == "add" {
				return views.Add(tx, c.N)
			}
			return views.Reset(tx)
		},
		Read: func(s object.Space) (string, error) {
			n, err := views.Value(s)
			return fmt.Sprint(n), err
		},
		Spec: crdttest.PNCounterSpec,
	}, crdttest.Options{})
	fmt.Println(err)
	// Output: <nil>
}

// A history of one's own, step by step, instead of random ones.
func ExampleForm_Run() {
	history := crdttest.Program{
		{Do: crdttest.Local, At: 0, What: 0}, // A puts e0 on
		{Do: crdttest.Pull, At: 1, From: 0},  // B merges the state of A
		{Do: crdttest.Local, At: 1, What: 2}, // B bans e0
		{Do: crdttest.Deliver, At: 2},        // C gets the ban, not the put
	}
	fmt.Println(tags.Run(crdttest.Specified, history))
	// Output: <nil>
}

// Shrinking works for any property of a program.
func ExampleShrink() {
	twoChanges := func(p crdttest.Program) error {
		changes := 0
		for _, s := range p {
			if s.Do == crdttest.Local {
				changes++
			}
		}
		if changes > 1 {
			return errors.New("two changes")
		}
		return nil
	}
	p := crdttest.Program{{At: 2, N: 5}, {Do: crdttest.Reload}, {At: 1}, {At: 2}, {Do: crdttest.Pull}}
	least, err := crdttest.Shrink(p, twoChanges)
	fmt.Println(least, err)
	// Output: [A changes e0 by verb 0 A changes e0 by verb 0] two changes
}
