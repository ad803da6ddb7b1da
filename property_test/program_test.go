package property_test

import (
	"reflect"

	"github.com/leanovate/gopter"
	"github.com/leanovate/gopter/gen"

	"github.com/joinery-crdt/joinery/crdt/crdttest"
)

// programs generates programs of up to the size asked for, and shrinks them in
// the way of gopter: the kit is not needed to judge itself.
func programs() gopter.Gen {
	return gen.SliceOf(genStep, reflect.TypeFor[crdttest.Step]()).MapResult(func(r *gopter.GenResult) *gopter.GenResult {
		return &gopter.GenResult{
			Result:     crdttest.Program(r.Result.([]crdttest.Step)),
			ResultType: reflect.TypeFor[crdttest.Program](),
			Shrinker: func(v any) gopter.Shrink {
				return r.Shrinker([]crdttest.Step(v.(crdttest.Program))).Map(func(s []crdttest.Step) crdttest.Program { return s })
			},
		}
	})
}

func genStep(p *gopter.GenParameters) *gopter.GenResult {
	actions := []crdttest.Action{
		crdttest.Local, crdttest.Local, crdttest.Local, crdttest.Local, crdttest.Deliver, crdttest.Deliver, crdttest.Deliver,
		crdttest.Pull, crdttest.Pull, crdttest.Group, crdttest.Reload,
	}
	s := crdttest.Step{
		Do: actions[p.Rng.Intn(len(actions))], At: p.Rng.Intn(crdttest.Replicas),
		From: p.Rng.Intn(8), What: p.Rng.Intn(12), Element: p.Rng.Intn(3), N: p.Rng.Intn(8),
	}
	return gopter.NewGenResult(s, shrinkStep)
}

// shrinkStep yields the step with one of its numbers 0, or halved.
func shrinkStep(v any) gopter.Shrink {
	s := v.(crdttest.Step)
	var less []crdttest.Step
	for _, field := range []func(*crdttest.Step) *int{
		func(s *crdttest.Step) *int { return (*int)(&s.Do) }, func(s *crdttest.Step) *int { return &s.At },
		func(s *crdttest.Step) *int { return &s.From }, func(s *crdttest.Step) *int { return &s.What },
		func(s *crdttest.Step) *int { return &s.Element }, func(s *crdttest.Step) *int { return &s.N },
	} {
		for _, divisor := range []int{16, 2} {
			smaller := s
			if *field(&smaller) /= divisor; smaller != s {
				less = append(less, smaller)
			}
		}
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
