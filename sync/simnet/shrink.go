package simnet

import (
	"fmt"
	"slices"
	"strings"
)

// A Counterexample is a failing run cut down to what matters.
type Counterexample struct {
	Seed     uint64
	Knobs    Knobs
	Schedule []Step
	Failure  *Failure
	Lines    []string // what happened, a line an event
	Runs     int      // that shrinking took
}

// String is the counterexample for people.
func (c *Counterexample) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "seed %d violates %q\n", c.Seed, c.Failure.Oracle)
	fmt.Fprintf(&b, "knobs: %v\n", c.Knobs)
	fmt.Fprintf(&b, "shrunk to %d steps in %d runs:\n", len(c.Schedule), c.Runs)
	lines, left := c.Lines, 0
	if left = len(lines) - firstLines - lastLines; left > 0 {
		lines = slices.Concat(lines[:firstLines], []string{fmt.Sprintf("%11s%d lines are left out", "", left)}, lines[len(lines)-lastLines:])
	}
	for _, l := range lines {
		fmt.Fprintln(&b, l)
	}
	return b.String()
}

// What is printed of a long run, of which most is heartbeats after the healing in
// which nothing comes to rest.
const firstLines, lastLines = 120, 40

// Shrink cuts the schedule of a failed run down as long as the same oracle is
// violated, in at most runs runs, and returns what is left with its trace. A
// failure that does not come back is returned as it was, with a trace of the
// whole run.
func Shrink(r Result, o Options, runs int) *Counterexample {
	s := &shrinker{seed: r.Seed, options: o, runs: runs, knobs: r.Knobs, schedule: r.Schedule}
	// Judged after every step, a run may fail earlier and by another oracle.
	if first := s.replay(s.knobs, s.schedule, nil); first.Failure != nil {
		s.oracle = first.Failure.Oracle
		s.shrink()
	}
	t := &trace{}
	last := s.replay(s.knobs, s.schedule, t)
	c := &Counterexample{
		Seed: s.seed, Knobs: s.knobs, Schedule: s.schedule, Failure: last.Failure,
		Lines: t.lines, Runs: runs - s.runs,
	}
	if c.Failure == nil {
		c.Failure = r.Failure
	}
	return c
}

type shrinker struct {
	seed     uint64
	options  Options
	oracle   Oracle
	runs     int // left
	knobs    Knobs
	schedule []Step
}

// replay executes a schedule that may have been cut, judging after every step,
// and tells what happened if t is not nil.
func (s *shrinker) replay(k Knobs, schedule []Step, t *trace) Result {
	w := newWorld(s.seed, k, s.options.bugs(), t)
	w.only = s.options.Only
	w.begin()
	for _, step := range schedule {
		if w.failure != nil {
			break
		}
		w.play(step, 1)
	}
	return w.result(schedule)
}

// fails reports whether the run still violates the oracle.
func (s *shrinker) fails(k Knobs, schedule []Step) bool {
	if s.runs <= 0 {
		return false
	}
	s.runs--
	r := s.replay(k, schedule, nil)
	return r.Failure != nil && r.Failure.Oracle == s.oracle
}

// shrink repeats all reductions until none helps.
func (s *shrinker) shrink() {
	for before := -1; s.runs > 0 && before != s.size(); {
		before = s.size()
		s.cutTail()
		s.cutNodes()
		s.calm()
		s.cutSteps()
		s.cutPairs()
		s.cutOps()
		s.hasten()
	}
}

// size measures what is left.
func (s *shrinker) size() int {
	n := len(s.schedule)
	for _, step := range s.schedule {
		n += len(step.Ops)
	}
	return n
}

func (s *shrinker) try(k Knobs, schedule []Step) bool {
	if !s.fails(k, schedule) {
		return false
	}
	s.knobs, s.schedule = k, schedule
	return true
}

// cutTail finds by halving how much of the end can go.
func (s *shrinker) cutTail() {
	for n := len(s.schedule) / 2; n > 0; n /= 2 {
		for n <= len(s.schedule) && s.try(s.knobs, s.schedule[:len(s.schedule)-n]) {
		}
	}
}

// cutNodes removes nodes one by one, with all that they do, and numbers the
// others anew.
func (s *shrinker) cutNodes() {
	for gone := s.knobs.Nodes - 1; gone >= 0 && s.knobs.Nodes > 2; gone-- {
		k := s.knobs
		k.Nodes--
		k.Late, k.Older = false, false
		for _, shape := range []Shape{k.Shape, Line} {
			if k.Shape = shape; s.try(k, withoutNode(s.schedule, gone)) {
				break
			}
		}
	}
}

func withoutNode(schedule []Step, gone int) (left []Step) {
	for _, step := range schedule {
		if step.Node == gone || step.involvesPeer() && step.Peer == gone {
			continue
		}
		if step.Node > gone {
			step.Node--
		}
		if step.Peer > gone {
			step.Peer--
		}
		left = append(left, step)
	}
	return left
}

// involvesPeer reports whether the step is about two nodes.
func (s Step) involvesPeer() bool {
	switch s.Do {
	case Deliver, Repeat, Drop, Connect, Reset, HalfOpen, SendAway, Block, Unblock, Clone:
		return true
	}
	return false
}

// calm turns off what the knobs still decide on replay.
func (s *shrinker) calm() {
	for _, turn := range []func(*Knobs){
		func(k *Knobs) { k.Skew = 0 },
		func(k *Knobs) { k.Late = false },
		func(k *Knobs) { k.Older = false },
		func(k *Knobs) { k.Large = false },
		func(k *Knobs) { k.Lossy = false },
		func(k *Knobs) { k.Busy = false },
		func(k *Knobs) { k.Tree = false },
		func(k *Knobs) { k.Waiting = 256 },
		func(k *Knobs) { k.Window = 0 },
		func(k *Knobs) { k.Room = maxInFlight },
		func(k *Knobs) { k.Spaces = 1 },
		func(k *Knobs) { k.Shape = Line },
	} {
		k := s.knobs
		if turn(&k); !k.equal(s.knobs) {
			s.try(k, s.schedule)
		}
	}
}

// equal compares what calm changes.
func (k Knobs) equal(o Knobs) bool {
	k.Kinds, o.Kinds = nil, nil
	return fmt.Sprint(k) == fmt.Sprint(o)
}

// cutSteps is delta debugging over the steps: it removes chunks of half the
// schedule, then of a quarter, down to single steps.
func (s *shrinker) cutSteps() {
	for n := max(len(s.schedule)/2, 1); n > 0; n /= 2 {
		for at := 0; at < len(s.schedule); {
			end := min(at+n, len(s.schedule))
			if !s.try(s.knobs, slices.Delete(slices.Clone(s.schedule), at, end)) {
				at = end
			}
		}
	}
}

// few is the number of steps up to which two are tried at a time.
const few = 64

// cutPairs removes two steps at a time, of which neither can go alone.
func (s *shrinker) cutPairs() {
	for i := 0; i < len(s.schedule) && len(s.schedule) <= few; i++ {
		for k := i + 1; k < len(s.schedule); k++ {
			less := slices.Delete(slices.Clone(s.schedule), k, k+1)
			if s.try(s.knobs, slices.Delete(less, i, i+1)) {
				k = i
			}
		}
	}
}

// cutOps removes the ops of transactions one by one.
func (s *shrinker) cutOps() {
	for i := 0; i < len(s.schedule); i++ {
		for k := 0; k < len(s.schedule[i].Ops); {
			less := slices.Clone(s.schedule)
			less[i].Ops = slices.Delete(slices.Clone(less[i].Ops), k, k+1)
			if !s.try(s.knobs, less) {
				k++
			}
		}
	}
}

// hasten turns deliveries out of order into deliveries in order and takes
// crashes inside commits away.
func (s *shrinker) hasten() {
	for i, step := range s.schedule {
		simple := step
		simple.Nth, simple.Crash = 0, NoCrash
		if simple.Nth == step.Nth && simple.Crash == step.Crash {
			continue
		}
		less := slices.Clone(s.schedule)
		less[i] = simple
		s.try(s.knobs, less)
	}
}
