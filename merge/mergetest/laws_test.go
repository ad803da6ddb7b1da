package mergetest_test

import (
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/joinery-crdt/joinery/merge"
	"github.com/joinery-crdt/joinery/merge/mergetest"
)

func TestLawsAcceptLattices(t *testing.T) {
	a, b, c := map[string]int{"x": 1}, map[string]int{"x": 3, "y": 2}, map[string]int{"x": 2, "z": 1}
	for name, err := range map[string]error{
		"bits":   mergetest.Laws(&bits{1}, &bits{2}, &bits{6}),
		"counts": mergetest.Laws(countsOf(none, a), countsOf(none, b), countsOf(none, c)),
		"equal":  mergetest.Laws(&bits{5}, &bits{5}, &bits{5}),
		"zero":   mergetest.Laws(&bits{}, &bits{}, &bits{}),
		"max":    mergetest.Laws(merge.MaxOf(3), merge.MaxOf(1), merge.MaxOf(2)),
	} {
		if err != nil {
			t.Errorf("Laws(%s) = %v, want nil", name, err)
		}
	}
}

func TestLawsRejectWrongLattices(t *testing.T) {
	nan := math.NaN()
	tests := []struct {
		name string
		err  error
		want mergetest.Law
	}{
		{"average", mergetest.Laws(&average{1}, &average{2}, &average{4}), mergetest.Associative},
		{"max of floats with NaN", mergetest.Laws(&floatMax{1}, &floatMax{nan}, &floatMax{2}), mergetest.Commutative},
		{"max of floats by == with NaN", mergetest.Laws(&floatMaxEq{floatMax{1}}, &floatMaxEq{floatMax{nan}}, &floatMaxEq{}), mergetest.Equivalence},
		{"last writer without tie-break", mergetest.Laws(&lwwNoTie{1, "a"}, &lwwNoTie{1, "b"}, &lwwNoTie{2, "c"}), mergetest.Commutative},
		{"lex over sets", mergetest.Laws(&lexOverSets{bits{1}, *merge.MaxOf(1)}, &lexOverSets{bits{2}, *merge.MaxOf(2)}, &lexOverSets{bits{3}, *merge.MaxOf(0)}), mergetest.Associative},
		{"merge.Lex over a non-chain", mergetest.Laws(lexOf(1, 1), lexOf(2, 2), lexOf(3, 0)), mergetest.Commutative},
		{"map that aliases values", lawsOfCounts(aliases), mergetest.Aliasing},
		{"map that adopts its argument", lawsOfCounts(adopts), mergetest.Aliasing},
		{"merge that mutates its argument", lawsOfCounts(mutates), mergetest.Argument},
		{"shallow clone", lawsOfCounts(shallow), mergetest.Cloning},
		{"empty clone", mergetest.Laws(&forgetful{bits{1}}, &forgetful{bits{2}}, &forgetful{bits{4}}), mergetest.Cloning},
		{"always changed", lawsOfCounts(lies), mergetest.Changed},
		{"never changed", lawsOfCounts(denies), mergetest.Changed},
		{"bytes in the order of the map", lawsOfCounts(unsorted), mergetest.Canonical},
		{"sum", mergetest.Laws(&sum{1}, &sum{2}, &sum{4}), mergetest.Idempotent},
		{"minimum with bottom 0", mergetest.Laws(&lowest{1}, &lowest{2}, &lowest{4}), mergetest.Bottom},
		{"symmetric difference", mergetest.Laws(&toggle{1}, &toggle{2}, &toggle{4}), mergetest.Monotone},
		{"equality of neighbours", mergetest.Laws(&near{1}, &near{2}, &near{3}), mergetest.Equivalence},
		{"one-sided equality", mergetest.Laws(&subset{bits{1}}, &subset{bits{3}}, &subset{bits{4}}), mergetest.Equivalence},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) { wantLaw(t, test.err, test.want) })
	}
}

func lexOf(set uint64, n int) *merge.Lex[bitChain, merge.Max[int], *bitChain, *merge.Max[int]] {
	return &merge.Lex[bitChain, merge.Max[int], *bitChain, *merge.Max[int]]{
		First: bitChain{bits{set}}, Second: *merge.MaxOf(n),
	}
}

func lawsOfCounts(f flaw) error {
	return mergetest.Laws(
		countsOf(f, map[string]int{"x": 1}),
		countsOf(f, map[string]int{"x": 3, "y": 2}),
		countsOf(f, map[string]int{"x": 2, "z": 1, "w": 4, "v": 5}))
}

func wantLaw(t *testing.T, err error, want mergetest.Law) {
	t.Helper()
	e, ok := errors.AsType[*mergetest.LawError](err)
	if !ok {
		t.Fatalf("got %v, want a breach of %q", err, want)
	}
	if e.Law != want {
		t.Fatalf("got a breach of %q, want %q:\n%v", e.Law, want, err)
	}
	if !errors.Is(err, mergetest.ErrLaw) {
		t.Errorf("errors.Is(%T, ErrLaw) = false", err)
	}
}

func TestLawsLeaveTheirArguments(t *testing.T) {
	a, b, c := countsOf(none, map[string]int{"x": 1}), countsOf(none, map[string]int{"x": 3}), countsOf(none, nil)
	before := mergetest.Show([]any{a, b, c})
	if err := mergetest.Laws(a, b, c); err != nil {
		t.Fatal(err)
	}
	if got := mergetest.Show([]any{a, b, c}); got != before {
		t.Errorf("after Laws the arguments are %s, were %s", got, before)
	}
}

func TestChain(t *testing.T) {
	if err := mergetest.Chain(merge.MaxOf(3), &merge.Max[int]{}, merge.MaxOf(1)); err != nil {
		t.Errorf("Chain(Max) = %v", err)
	}
	if err := mergetest.Chain(merge.MinOf("b"), merge.MinOf("b"), merge.MinOf("a")); err != nil {
		t.Errorf("Chain(Min) = %v", err)
	}
	wantLaw(t, mergetest.Chain(&bitChain{bits{1}}, &bitChain{bits{2}}, &bitChain{bits{6}}), mergetest.Total)
	wantLaw(t, mergetest.Chain(&bitChain{bits{1}}, &bitChain{bits{2}}, &bitChain{bits{3}}), mergetest.Consistent)
	wantLaw(t, mergetest.Chain(&numberChain{bits{1}}, &numberChain{bits{2}}, &numberChain{bits{4}}), mergetest.Consistent)
}

func TestLawErrorIsReadable(t *testing.T) {
	err := mergetest.Laws(&average{1}, &average{2}, &average{4})
	want := "mergetest: *mergetest_test.average breaks the associative law:" +
		"\n\ta           = {v: 1}" +
		"\n\tb           = {v: 2}" +
		"\n\tc           = {v: 4}" +
		"\n\t(a ⊔ b) ⊔ c = {v: 2.75}" +
		"\n\ta ⊔ (b ⊔ c) = {v: 2}"
	if got := err.Error(); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

func TestShow(t *testing.T) {
	type node struct {
		next  *node
		value any
	}
	loop := &node{value: 1}
	loop.next = loop
	tests := []struct {
		value any
		want  string
	}{
		{nil, "nil"},
		{(*node)(nil), "nil"},
		{map[string]*int{"b": new(2), "a": new(1)}, `map["a": 1, "b": 2]`},
		{[]string{"x"}, `["x"]`},
		{[2]byte{1, 255}, "0x01ff"},
		{node{nil, []byte("k")}, "{next: nil, value: 0x6b}"},
		{loop, "{next: cycle, value: 1}"},
		{struct{ f func() }{}, "{f: func(nil: true)}"},
		{math.Copysign(0, -1), "-0"},
		{errors.New("refused"), "refused"},
	}
	for _, test := range tests {
		if got := mergetest.Show(test.value); got != test.want {
			t.Errorf("Show(%#v) = %s, want %s", test.value, got, test.want)
		}
	}
	if got := mergetest.Show(loop); strings.Contains(got, "0x") {
		t.Errorf("Show prints an address: %s", got)
	}
}
