package property_test

import (
	"reflect"

	"github.com/leanovate/gopter"
	"github.com/leanovate/gopter/gen"

	"github.com/joinery-crdt/joinery/merge"
)

// Generators draw from few and small values, so that values drawn together
// overlap. Each shrinks by shrinking what it was built from.

// origin returns the n-th of the origins that tests use, which ascend with n.
func origin(n int) merge.Origin { return merge.Origin{15: byte(n)} }

// built generates build(source), and shrinks it by shrinking the source. B must
// be a pointer to memory of its own.
func built[A, B any](source gopter.Gen, build func(A) B) gopter.Gen {
	return func(p *gopter.GenParameters) *gopter.GenResult {
		from := source(p)
		sources := make(map[any]any) // of the values that were handed out
		wrap := func(a any) any {
			b := any(build(a.(A)))
			sources[b] = a
			return b
		}
		return &gopter.GenResult{
			Result:     wrap(from.Result),
			ResultType: reflect.TypeFor[B](),
			Labels:     from.Labels,
			Shrinker: func(b any) gopter.Shrink {
				shrunk := from.Shrinker(sources[b]).Filter(from.Sieve)
				return func() (any, bool) {
					a, ok := shrunk()
					if !ok {
						return nil, false
					}
					return wrap(a), true
				}
			},
		}
	}
}

// both generates two values one after the other as a pair of A and B.
func both[A, B, C any](a, b gopter.Gen, build func(A, B) C) gopter.Gen {
	return built(gopter.CombineGens(a, b), func(v []any) C { return build(v[0].(A), v[1].(B)) })
}

// upTo generates the numbers from 0 to last.
func upTo(last int) gopter.Gen { return gen.IntRange(0, last) }

// dots generates dots of three origins, single ones and runs alike.
func dots() gopter.Gen { return gen.SliceOf(dot()) }

func dot() gopter.Gen { return dotAmong(3, 12) }

// dotAmong generates dots of the first origins, up to a number.
func dotAmong(origins, last int) gopter.Gen {
	return gopter.CombineGens(upTo(origins-1), upTo(last-1)).MapResult(func(r *gopter.GenResult) *gopter.GenResult {
		return &gopter.GenResult{
			Result:     dotOf(r.Result),
			ResultType: reflect.TypeFor[merge.Dot](),
			Shrinker:   shrinkDot,
		}
	})
}

func dotOf(v any) merge.Dot {
	n := v.([]any)
	return merge.Dot{Origin: origin(n[0].(int)), Seq: uint64(n[1].(int)) + 1}
}

// shrinkDot yields the first dot of the origin, the one halfway to it, the one
// before, and the same of the first origin.
func shrinkDot(v any) gopter.Shrink {
	d := v.(merge.Dot)
	var less []any
	for _, seq := range []uint64{1, (d.Seq + 1) / 2, d.Seq - 1} {
		if seq > 0 && seq < d.Seq {
			less = append(less, merge.Dot{Origin: d.Origin, Seq: seq})
		}
	}
	if d.Origin != origin(0) {
		less = append(less, merge.Dot{Origin: origin(0), Seq: d.Seq})
	}
	return func() (any, bool) {
		if len(less) == 0 {
			return nil, false
		}
		next := less[0]
		less = less[1:]
		return next, true
	}
}

func vector() gopter.Gen {
	return built(dots(), func(d []merge.Dot) *merge.VersionVector { return merge.VectorOf(d...) })
}

func context() gopter.Gen { return contextOf(dots()) }

// wideContext generates contexts of many origins, of which little is known.
func wideContext() gopter.Gen { return contextOf(gen.SliceOf(dotAmong(20, 4))) }

func contextOf(dots gopter.Gen) gopter.Gen {
	return built(dots, func(d []merge.Dot) *merge.Context { return merge.ContextOf(d...) })
}

// Lattices by which the combinators are tried.
type (
	highest = merge.Max[int]
	lowest  = merge.Min[string]
	pair    = merge.Pair[merge.Context, lowest, *merge.Context, *lowest]
	lex     = merge.Lex[highest, merge.Context, *highest, *merge.Context]
	chain   = merge.Lex[highest, lowest, *highest, *lowest]
	mapping = merge.Map[int, pair, *pair]
	nested  = merge.Map[int, mapping, *mapping]
)

// orBottom generates nothing seen for 0, and of(n-1) for n.
func orBottom[L any](last int, of func(n int) *L) gopter.Gen {
	return built(upTo(last+1), func(n int) *L {
		if n == 0 {
			return new(L)
		}
		return of(n - 1)
	})
}

func genHighest() gopter.Gen { return orBottom(3, merge.MaxOf[int]) }

func genLowest() gopter.Gen {
	return orBottom(3, func(n int) *lowest { return merge.MinOf("dcba"[n : n+1]) })
}

func genPair() gopter.Gen {
	return both(context(), genLowest(), func(c *merge.Context, l *lowest) *pair {
		return &pair{First: *c.Clone(), Second: *l}
	})
}

func genLex() gopter.Gen {
	return both(genHighest(), context(), func(h *highest, c *merge.Context) *lex {
		return &lex{First: *h, Second: *c.Clone()}
	})
}

func genChain() gopter.Gen {
	return both(genHighest(), genLowest(), func(h *highest, l *lowest) *chain {
		return &chain{First: *h, Second: *l}
	})
}

// under generates maps of up to three values under three keys.
func under[V any, P merge.Ptr[V]](value gopter.Gen) gopter.Gen {
	key := upTo(2)
	parts := gopter.CombineGens(upTo(3), key, value, key, value, key, value)
	return built(parts, func(v []any) *merge.Map[int, V, P] {
		m := &merge.Map[int, V, P]{}
		for i := range v[0].(int) {
			m.Join(v[1+2*i].(int), v[2+2*i].(P))
		}
		return m
	})
}

func genMapping() gopter.Gen { return under[pair](genPair()) }

func genNested() gopter.Gen { return under[mapping](genMapping()) }

// genTotals generates values of up to three origins.
func genTotals() gopter.Gen {
	return built(under[highest](genHighest()), func(m *merge.Map[int, highest, *highest]) *totals {
		b := &totals{}
		for n, v := range m.All() {
			b.Join(origin(n), v)
		}
		return b
	})
}
