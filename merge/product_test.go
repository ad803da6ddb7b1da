package merge_test

import (
	"testing"

	"github.com/joinery-crdt/joinery/merge"
	"github.com/joinery-crdt/joinery/merge/mergetest"
)

type (
	maxInt = merge.Max[int]
	pair   = merge.Pair[maxInt, merge.Min[int], *maxInt, *merge.Min[int]]
	lex    = merge.Lex[maxInt, set, *maxInt, *set]
	set    = merge.Map[string, maxInt, *maxInt]
	nested = merge.Map[int, set, *set]
)

func setOf(m map[string]int) *set {
	s := &set{}
	for k, v := range m {
		s.Join(k, merge.MaxOf(v))
	}
	return s
}

func nestedOf(m map[int]map[string]int) *nested {
	n := &nested{}
	for k, v := range m {
		n.Join(k, setOf(v))
	}
	return n
}

func TestPairLaws(t *testing.T) {
	values := []*pair{
		{},
		{First: *merge.MaxOf(1)},
		{Second: *merge.MinOf(1)},
		{First: *merge.MaxOf(1), Second: *merge.MinOf(0)},
		{First: *merge.MaxOf(2), Second: *merge.MinOf(5)},
	}
	if err := triples(values, mergetest.Laws[*pair]); err != nil {
		t.Error(err)
	}
}

func TestPairReportsEitherHalf(t *testing.T) {
	p := &pair{First: *merge.MaxOf(1), Second: *merge.MinOf(1)}
	if !p.Merge(&pair{First: *merge.MaxOf(2)}) || !p.Merge(&pair{Second: *merge.MinOf(0)}) {
		t.Error("a change of one half is not reported")
	}
	if p.Merge(&pair{First: *merge.MaxOf(2), Second: *merge.MinOf(7)}) {
		t.Error("a change is reported where there was none")
	}
}

func TestLexLaws(t *testing.T) {
	values := []*lex{
		{},
		{Second: *setOf(map[string]int{"x": 1})},
		{First: *merge.MaxOf(1)},
		{First: *merge.MaxOf(1), Second: *setOf(map[string]int{"x": 1})},
		{First: *merge.MaxOf(1), Second: *setOf(map[string]int{"x": 2, "y": 1})},
		{First: *merge.MaxOf(2), Second: *setOf(map[string]int{"y": 0})},
	}
	if err := triples(values, mergetest.Laws[*lex]); err != nil {
		t.Error(err)
	}
}

func TestLexHigherFirstWinsWhole(t *testing.T) {
	low := &lex{First: *merge.MaxOf(1), Second: *setOf(map[string]int{"x": 9})}
	high := &lex{First: *merge.MaxOf(2), Second: *setOf(map[string]int{"y": 1})}
	if !low.Merge(high) || !low.Equal(high) {
		t.Errorf("merging the higher gives %s", mergetest.Show(low))
	}
	low.Second.Join("z", merge.MaxOf(1))
	if high.Second.Len() != 1 {
		t.Error("the winner shares memory with the value it was taken from")
	}
}

func TestMapLaws(t *testing.T) {
	values := []*nested{
		{},
		nestedOf(map[int]map[string]int{1: {"x": 1}}),
		nestedOf(map[int]map[string]int{1: {"x": 2}, 2: {"y": 1}}),
		nestedOf(map[int]map[string]int{1: {"y": 0}, 3: {"z": 3}}),
		nestedOf(map[int]map[string]int{2: {"y": 4, "x": 1}}),
	}
	if err := triples(values, mergetest.Laws[*nested]); err != nil {
		t.Error(err)
	}
}

func TestMapKeepsBottomAbsent(t *testing.T) {
	var m nested
	if m.Join(1, &set{}) || m.Len() != 0 {
		t.Errorf("joining bottom leaves %d keys", m.Len())
	}
	if _, ok := m.Get(1); ok {
		t.Error("a key that holds bottom is there")
	}
	m.Join(1, setOf(map[string]int{"x": 1}))
	if v, ok := m.Get(1); !ok || v.Len() != 1 {
		t.Errorf("Get = %s, %t", mergetest.Show(v), ok)
	}
}

func TestMapJoinDoesNotRetain(t *testing.T) {
	var m nested
	v := setOf(map[string]int{"x": 1})
	m.Join(1, v)
	v.Join("y", merge.MaxOf(1))
	if got, _ := m.Get(1); got.Len() != 1 {
		t.Error("Join retains its argument")
	}
}
