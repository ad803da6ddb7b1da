package property_test

import (
	"fmt"
	"reflect"

	"github.com/leanovate/gopter"
	"github.com/leanovate/gopter/gen"
)

// replicas is how many replicas a program runs on.
const replicas = 3

// A program is what happens in a history. Any part of one is one, which is what
// makes it shrink: a step that has nothing to act upon does nothing.
type program []step

// A step is one event. Its numbers are taken modulo what there is to choose from.
type step struct {
	do   action
	at   int // the replica
	from int // the other replica, or how many messages ago
	what int // the verb, or how many messages ago
	n    int // the element, and what is written
}

type action int

const (
	local   action = iota // the replica changes something, and sends the delta
	deliver               // one message reaches the replica, perhaps again
	pull                  // the replica merges the state of another
	group                 // two messages are merged into a third
	reload                // the replica restarts from its bytes
)

// String tells the step in words.
func (s step) String() string {
	at := string(rune('A' + s.at))
	switch s.do {
	case local:
		return fmt.Sprintf("%s: change %d of e%d", at, s.what, s.n)
	case deliver:
		return fmt.Sprintf("%s: deliver -%d", at, s.from)
	case pull:
		return fmt.Sprintf("%s: pull from %c", at, 'A'+s.from%replicas)
	case group:
		return fmt.Sprintf("group -%d -%d", s.from, s.what)
	}
	return fmt.Sprintf("%s: reload", at)
}

// programs generates programs of up to the size asked for.
func programs() gopter.Gen {
	return gen.SliceOf(genStep, reflect.TypeFor[step]()).MapResult(func(r *gopter.GenResult) *gopter.GenResult {
		return &gopter.GenResult{
			Result:     program(r.Result.([]step)),
			ResultType: reflect.TypeFor[program](),
			Shrinker: func(v any) gopter.Shrink {
				return r.Shrinker([]step(v.(program))).Map(func(s []step) program { return s })
			},
		}
	})
}

func genStep(p *gopter.GenParameters) *gopter.GenResult {
	actions := []action{local, local, local, local, deliver, deliver, deliver, pull, pull, group, reload}
	s := step{
		do: actions[p.Rng.Intn(len(actions))], at: p.Rng.Intn(replicas),
		from: p.Rng.Intn(8), what: p.Rng.Intn(6), n: p.Rng.Intn(8),
	}
	return gopter.NewGenResult(s, shrinkStep)
}

// shrinkStep yields the step with one of its numbers 0, or halved.
func shrinkStep(v any) gopter.Shrink {
	s := v.(step)
	var less []step
	for _, field := range []func(*step) *int{
		func(s *step) *int { return (*int)(&s.do) }, func(s *step) *int { return &s.at },
		func(s *step) *int { return &s.from }, func(s *step) *int { return &s.what }, func(s *step) *int { return &s.n },
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
