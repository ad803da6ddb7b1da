package merge_test

import (
	"fmt"

	"github.com/joinery-crdt/joinery/merge"
)

// Two replicas, as the examples name them. Real origins are random.
var (
	alice = merge.Origin{15: 0xa}
	bob   = merge.Origin{15: 0xb}
)

func ExampleMax() {
	var highest merge.Max[int]
	highest.Merge(merge.MaxOf(3))
	changed := highest.Merge(merge.MaxOf(2))
	v, ok := highest.Value()
	fmt.Println(v, ok, changed)
	// Output: 3 true false
}

func ExampleMin() {
	var earliest merge.Min[string]
	earliest.Merge(merge.MinOf("2026-03-01"))
	earliest.Merge(merge.MinOf("2026-02-14"))
	fmt.Println(earliest.Value())
	// Output: 2026-02-14 true
}

// The range of what was measured: both ends only ever move outwards.
func ExamplePair() {
	type span = merge.Pair[merge.Min[int], merge.Max[int], *merge.Min[int], *merge.Max[int]]
	var seen span
	for _, n := range []int{20, 17, 23} {
		seen.Merge(&span{First: *merge.MinOf(n), Second: *merge.MaxOf(n)})
	}
	low, _ := seen.First.Value()
	high, _ := seen.Second.Value()
	fmt.Println(low, high)
	// Output: 17 23
}

// A score that counts within a season only: a later season starts afresh.
func ExampleLex() {
	type score = merge.Lex[merge.Max[int], merge.Max[int], *merge.Max[int], *merge.Max[int]]
	best := score{First: *merge.MaxOf(1), Second: *merge.MaxOf(980)}
	best.Merge(&score{First: *merge.MaxOf(2), Second: *merge.MaxOf(15)})
	season, _ := best.First.Value()
	points, _ := best.Second.Value()
	fmt.Println(season, points)
	// Output: 2 15
}

func ExampleMap() {
	type highest = merge.Map[string, merge.Max[int], *merge.Max[int]]
	var mine, theirs highest
	mine.Join("ann", merge.MaxOf(7))
	theirs.Join("ann", merge.MaxOf(9))
	theirs.Join("ben", merge.MaxOf(4))
	mine.Merge(&theirs)
	ann, _ := mine.Get("ann")
	v, _ := ann.Value()
	fmt.Println(mine.Len(), v)
	// Output: 2 9
}

func ExampleParseOrigin() {
	o, err := merge.ParseOrigin("0190f3c2-7b1a-4c5d-8e6f-00112233aabb")
	fmt.Println(o, err)
	_, err = merge.ParseOrigin("laptop")
	fmt.Println(err)
	// Output:
	// 0190f3c2-7b1a-4c5d-8e6f-00112233aabb <nil>
	// merge: origin "laptop" is not a lower-case hyphenated UUID
}

func ExampleDot() {
	first := merge.Dot{Origin: alice, Seq: 1}
	fmt.Println(first)
	fmt.Println(first.Compare(merge.Dot{Origin: alice, Seq: 2}))
	// Output:
	// 00000000-0000-0000-0000-00000000000a/1
	// -1
}

func ExampleDotSet() {
	s := merge.DotSetOf(merge.Dot{Origin: alice, Seq: 2}, merge.Dot{Origin: alice, Seq: 2})
	fmt.Println(len(s), s.Contains(merge.Dot{Origin: alice, Seq: 1}))
	// Output: 1 false
}

// What one replica has seen covers what another has seen, or does not: then
// there is something to send.
func ExampleVersionVector() {
	mine := merge.VectorOf(merge.Dot{Origin: alice, Seq: 3}, merge.Dot{Origin: bob, Seq: 1})
	theirs := merge.VectorOf(merge.Dot{Origin: bob, Seq: 2})
	fmt.Println(mine.Covers(theirs))
	mine.Merge(theirs)
	fmt.Println(mine.Covers(theirs), mine.Get(bob))
	// Output:
	// false
	// true 2
}

// A context keeps the gaps that a vector would close.
func ExampleContext() {
	seen := merge.ContextOf(merge.Dot{Origin: alice, Seq: 1}, merge.Dot{Origin: alice, Seq: 3})
	fmt.Println(seen.Contains(merge.Dot{Origin: alice, Seq: 2}), seen.Vector().Get(alice), seen.Last(alice))
	seen.Add(merge.Dot{Origin: alice, Seq: 2})
	fmt.Println(seen.Vector().Get(alice))
	// Output:
	// false 1 3
	// 3
}

func ExampleDecodeContext() {
	seen := merge.ContextOf(merge.Dot{Origin: alice, Seq: 1}, merge.Dot{Origin: alice, Seq: 3})
	b, _ := seen.AppendBinary(nil)
	again, err := merge.DecodeContext(b)
	fmt.Println(again.Equal(seen), err)
	_, err = merge.DecodeContext(append(b, 0))
	fmt.Println(err)
	// Output:
	// true <nil>
	// merge: context: trailing bytes at byte 22
}

// A cell of a multi-value register: bob has seen alice's first write and
// replaced it, while alice wrote again.
func ExampleJoinDotFuns() {
	one, two := merge.Dot{Origin: alice, Seq: 1}, merge.Dot{Origin: alice, Seq: 2}
	his := merge.Dot{Origin: bob, Seq: 1}
	atAlice := merge.DotFunOf(merge.Entry[string]{Dot: two, Value: "alice's second"})
	atBob := merge.DotFunOf(merge.Entry[string]{Dot: his, Value: "bob's"})
	joined, changed := merge.JoinDotFuns(
		atAlice, merge.ContextOf(one, two),
		atBob, merge.ContextOf(one, his))
	for e := range joined.All() {
		fmt.Println(e.Value)
	}
	fmt.Println(changed)
	// Output:
	// alice's second
	// bob's
	// true
}

func ExampleDotFun() {
	f := merge.DotFunOf(
		merge.Entry[string]{Dot: merge.Dot{Origin: bob, Seq: 1}, Value: "tea"},
		merge.Entry[string]{Dot: merge.Dot{Origin: alice, Seq: 1}, Value: "coffee"})
	for e := range f.All() {
		fmt.Println(e.Dot, e.Value)
	}
	// Output:
	// 00000000-0000-0000-0000-00000000000a/1 coffee
	// 00000000-0000-0000-0000-00000000000b/1 tea
}

// Bob removes the entry that he has seen. Alice's later one survives, and
// nothing is left of the removed one but its dot in the context.
func ExampleDotMap() {
	var atAlice, atBob merge.DotMap[string, int]
	atBob.Merge(atAlice.Put(alice, "milk", 1))
	again := atAlice.Put(alice, "milk", 2)
	atAlice.Merge(atBob.Drop(bob, "milk"))
	atBob.Merge(again)
	for k, f := range atBob.All() {
		for e := range f.All() {
			fmt.Println(k, e.Value)
		}
	}
	fmt.Println(atAlice.Equal(&atBob))
	// Output:
	// milk 2
	// true
}
