package crdttest_test

import (
	"errors"
	"testing"

	"github.com/joinery-crdt/joinery/crdt"
	"github.com/joinery-crdt/joinery/crdt/crdttest"
	"github.com/joinery-crdt/joinery/crdt/object"
	"github.com/joinery-crdt/joinery/merge"
)

// A spoiltKind is a kind with another Join or Check.
type spoiltKind struct {
	crdt.Kind
	join  func(cell []byte, seen merge.Dots, w crdt.Write) ([]byte, error)
	check func(crdt.Write) error
	merge func(k crdt.Kind, element []byte, mine, theirs crdt.Held) ([]byte, error)
}

func (k *spoiltKind) Merge(element []byte, mine, theirs crdt.Held) ([]byte, error) {
	if k.merge == nil {
		return k.Kind.Merge(element, mine, theirs)
	}
	return k.merge(k.Kind, element, mine, theirs)
}

func (k *spoiltKind) Join(cell []byte, seen merge.Dots, w crdt.Write) ([]byte, error) {
	if k.join == nil {
		return k.Kind.Join(cell, seen, w)
	}
	return k.join(cell, seen, w)
}

func (k *spoiltKind) Check(w crdt.Write) error {
	if k.check == nil {
		return k.Kind.Check(w)
	}
	return k.check(w)
}

var (
	setRef = object.NewORSet[string](crdttest.Key)
	lwwRef = object.NewLWWRegister[int64](crdttest.Key)
)

// sets is the form of an add-wins set of that kind.
func sets(k crdt.Kind) crdttest.KindForm {
	return crdttest.KindForm{
		Kind:  k,
		Verbs: []string{"add", "remove"},
		Apply: func(tx object.Tx, c crdttest.Change) error {
			if c.Verb == "add" {
				return setRef.Add(tx, c.Element)
			}
			return setRef.Remove(tx, c.Element)
		},
		Read: func(s object.Space) (string, error) {
			var all []string
			for e, err := range setRef.All(s) {
				if err != nil {
					return "", err
				}
				all = append(all, e)
			}
			return crdttest.Sorted(func(yield func(string) bool) {
				for _, e := range all {
					if !yield(e) {
						return
					}
				}
			}), nil
		},
		Spec: crdttest.ORSetSpec,
	}
}

// registers is the form of a last-writer-wins register of that kind.
func registers(k crdt.Kind) crdttest.KindForm {
	return crdttest.KindForm{
		Kind:  k,
		Verbs: []string{"set"},
		Apply: func(tx object.Tx, c crdttest.Change) error { return lwwRef.Set(tx, c.N) },
		Read: func(s object.Space) (string, error) {
			v, ok, err := lwwRef.Get(s)
			if err != nil || !ok {
				return crdttest.Nothing, err
			}
			return crdttest.SortedNumbers(func(yield func(int64) bool) { yield(v) }), nil
		},
		Spec: func(visible crdttest.Changes) string {
			last, ok := visible.Last()
			if !ok {
				return crdttest.Nothing
			}
			return crdttest.SortedNumbers(func(yield func(int64) bool) { yield(last.N) })
		},
	}
}

func TestCheckKindAcceptsWhatIsRight(t *testing.T) {
	if err := crdttest.CheckKind(sets(crdt.ORSetKind), crdttest.Options{}); err != nil {
		t.Error(err)
	}
	if err := crdttest.CheckKind(registers(crdt.LWWKind), crdttest.Options{}); err != nil {
		t.Error(err)
	}
	if err := crdttest.CheckTogether(dotSets(noBug), sets(crdt.ORSetKind), crdttest.Options{}); err != nil {
		t.Error(err)
	}
}

func TestCheckKindRejects(t *testing.T) {
	greedy := &spoiltKind{Kind: crdt.ORSetKind, join: func(cell []byte, seen merge.Dots, w crdt.Write) ([]byte, error) {
		live, err := crdt.DecodeDots(cell)
		w.Seen = live.Dots()
		return cond(err, func() ([]byte, error) { return crdt.ORSetKind.Join(cell, seen, w) })
	}}
	lastArrived := &spoiltKind{Kind: crdt.LWWKind, join: func(_ []byte, seen merge.Dots, w crdt.Write) ([]byte, error) {
		return crdt.LWWKind.Join(nil, seen, w)
	}}
	timeless := &spoiltKind{Kind: crdt.LWWKind, join: func(cell []byte, seen merge.Dots, w crdt.Write) ([]byte, error) {
		w.Time = 1
		return crdt.LWWKind.Join(cell, seen, w)
	}}
	scribbler := &spoiltKind{Kind: crdt.LWWKind, join: func(cell []byte, seen merge.Dots, w crdt.Write) ([]byte, error) {
		state, err := crdt.LWWKind.Join(cell, seen, w)
		clear(cell)
		return state, err
	}}
	trusting := &spoiltKind{Kind: crdt.TwoPSetKind, check: func(crdt.Write) error { return nil }}
	grudging := &spoiltKind{Kind: crdt.LWWKind, join: func(cell []byte, seen merge.Dots, w crdt.Write) ([]byte, error) {
		if cell != nil {
			return nil, errors.New("there is a value already")
		}
		return crdt.LWWKind.Join(cell, seen, w)
	}}
	kindRejected(t, "a removal of what was not seen", sets(greedy), crdttest.Specified)
	kindRejected(t, "the write that arrives last", registers(lastArrived), crdttest.Specified)
	kindRejected(t, "ties only", registers(timeless), crdttest.Specified)
	kindRejected(t, "a Join that writes into its argument", registers(scribbler), crdttest.Specified)
	kindRejected(t, "a Join that refuses", registers(grudging), crdttest.Specified)
	kindRejected(t, "a Merge that keeps what the other has removed", sets(&spoiltKind{Kind: crdt.ORSetKind, merge: unaware}), crdttest.Merged)
	kindRejected(t, "a Merge that takes the other cell", registers(&spoiltKind{Kind: crdt.LWWKind, merge: obedient}), crdttest.Merged)
	kindRejected(t, "a Check that accepts everything", phases(trusting), crdttest.Guarded)
}

// unaware merges as if neither side had seen more than it holds.
func unaware(_ crdt.Kind, element []byte, mine, theirs crdt.Held) ([]byte, error) {
	mine.Seen = merge.DotSet{}
	if theirs.Cell == nil {
		return mine.Cell, nil
	}
	return crdt.ORSetKind.Merge(element, mine, theirs)
}

func obedient(_ crdt.Kind, _ []byte, mine, theirs crdt.Held) ([]byte, error) {
	if theirs.Cell == nil {
		return mine.Cell, nil
	}
	return theirs.Cell, nil
}

func cond(err error, otherwise func() ([]byte, error)) ([]byte, error) {
	if err != nil {
		return nil, err
	}
	return otherwise()
}

// phases is the form of a two-phase set that only grows.
func phases(k crdt.Kind) crdttest.KindForm {
	ref := object.NewTwoPSet[string](crdttest.Key)
	return crdttest.KindForm{
		Kind:  k,
		Verbs: []string{"add"},
		Apply: func(tx object.Tx, c crdttest.Change) error { return ref.Add(tx, c.Element) },
		Read: func(s object.Space) (string, error) {
			n, err := ref.Len(s)
			return crdttest.SortedNumbers(func(yield func(int64) bool) { yield(int64(n)) }), err
		},
		Spec: func(visible crdttest.Changes) string {
			return crdttest.SortedNumbers(func(yield func(int64) bool) { yield(int64(len(visible.Elements()))) })
		},
	}
}

func kindRejected(t *testing.T, what string, k crdttest.KindForm, clause crdttest.Clause) {
	t.Helper()
	failure, ok := errors.AsType[*crdttest.Failure](crdttest.CheckKind(k, crdttest.Options{}))
	if !ok || failure.Clause != clause || len(failure.Program) > 5 {
		t.Fatalf("%s: CheckKind = %v, want a short *Failure of the %s", what, failure, clause)
	}
	if k.Run(clause, failure.Program) == nil {
		t.Errorf("%s: the program of the failure does not fail again", what)
	}
	t.Logf("%s: %v", what, failure)
}

// Forms that differ are found even where each is right in its way.
func TestCheckTogetherRejects(t *testing.T) {
	failure, ok := errors.AsType[*crdttest.Failure](crdttest.CheckTogether(dotSets(greedyBug), sets(crdt.ORSetKind), crdttest.Options{}))
	if !ok {
		t.Fatal("a wrong value beside right cells passes")
	}
	undefined := dotSets(noBug)
	undefined.Spec = nil
	if err := crdttest.CheckTogether(undefined, sets(crdt.ORSetKind), crdttest.Options{}); err != nil {
		t.Error(err)
	}
	undefined.Read = func(*dotSet) string { return "" }
	if err := crdttest.CheckTogether(undefined, sets(crdt.ORSetKind), crdttest.Options{}); err == nil {
		t.Error("cells that hold what the value does not pass")
	}
	refusing := sets(crdt.ORSetKind)
	refusing.Apply = func(object.Tx, crdttest.Change) error { return errors.New("no") }
	err := crdttest.CheckTogether(dotSets(noBug), refusing, crdttest.Options{})
	if err == nil || crdttest.RunTogether(dotSets(noBug), refusing, failure.Program) == nil {
		t.Error("cells that refuse what the value accepts pass")
	}
	if err := sets(crdt.ORSetKind).Run(crdttest.Lawful, nil); err == nil {
		t.Error("a clause that kinds do not have holds")
	}
}

// A transaction that writes elsewhere, or not what the kind allows, fails.
func TestChangesOfTheWrongObject(t *testing.T) {
	f := sets(crdt.ORSetKind)
	f.Apply = func(tx object.Tx, c crdttest.Change) error { return lwwRef.Set(tx, c.N) }
	f.Spec = func(visible crdttest.Changes) string {
		if len(visible) > 0 {
			t.Error("a write to an object of another kind is accepted")
		}
		return ""
	}
	if err := crdttest.CheckKind(f, crdttest.Options{Programs: 5}); err != nil {
		t.Error(err)
	}
}
