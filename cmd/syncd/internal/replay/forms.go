package replay

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
)

// The forms in which a history can be replayed.
const (
	FormNode  = "node"  // nodes that exchange drop files
	FormOp    = "op"    // replicas in operation form that exchange messages
	FormDelta = "delta" // stand-alone values that exchange deltas
)

var forms = []string{FormNode, FormOp, FormDelta}

// ReplayForm runs the history in memory, in one of the forms without nodes, and
// returns what a replica that has seen all of it ends with.
func ReplayForm(ctx context.Context, h *History, form string, setup Cast) (*Results, error) {
	switch form {
	case FormOp:
		return perform(ctx, h, setup, opForm{})
	case FormDelta:
		return perform(ctx, h, setup, deltaForm{})
	}
	return nil, fmt.Errorf("replay: no form %q in memory", form)
}

// A form is what replicas are and what they send each other.
type form[R, M any] interface {
	// open returns a replica that begins with what another one has, or with
	// nothing if has is false. The number -1 is that of one which only takes.
	open(id int, from R, has bool) R
	// play makes the changes of an event, of which there is at least one.
	play(r R, e *Event) (M, error)
	// take takes what others made. Everything is there at least once.
	take(r R, sent []M) error
	contents(r R) (contents, error)
}

// A parcel is what one event made.
type parcel[M any] struct {
	event int
	sent  M
}

// actor is a running replica and what it has seen, by replica.
type actor[R any] struct {
	replica R
	at      []uint32
}

// stage is a running replay in memory.
type stage[R, M any] struct {
	form    form[R, M]
	history *History
	fresh   bool
	rand    *rand.Rand
	parcels [][]parcel[M] // by replica
	actors  map[int]*actor[R]
	lastUse map[int]int // replica -> its last event
	seen    [][]uint32  // by event, itself included; nil when nobody needs it
	needed  []int       // by event: number of children that have not happened
}

func perform[R, M any](ctx context.Context, h *History, setup Cast, f form[R, M]) (*Results, error) {
	s := &stage[R, M]{
		form: f, history: h, fresh: setup.Fresh, rand: rand.New(rand.NewPCG(setup.Seed, 0)),
		parcels: make([][]parcel[M], h.Replicas), actors: make(map[int]*actor[R]), lastUse: make(map[int]int),
		seen: make([][]uint32, len(h.Events)), needed: make([]int, len(h.Events)),
	}
	for _, e := range h.Events {
		s.lastUse[e.Replica] = e.ID
		for _, p := range e.Parents {
			s.needed[p]++
		}
	}
	for i := range h.Events {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if setup.Log != nil && i > 0 && i%5000 == 0 {
			setup.Log("replayed %d of %d events", i, len(h.Events))
		}
		if err := s.play(&h.Events[i]); err != nil {
			return nil, fmt.Errorf("replay: event %d of replica %d: %w", i, h.Events[i].Replica, err)
		}
	}
	return s.finish()
}

// finish brings everything to one more replica.
func (s *stage[R, M]) finish() (*Results, error) {
	var none R
	all := &actor[R]{s.form.open(-1, none, false), make([]uint32, s.history.Replicas)}
	whole := make([]uint32, s.history.Replicas)
	for id, p := range s.parcels {
		whole[id] = uint32(len(p))
	}
	if err := s.bring(all, whole); err != nil {
		return nil, err
	}
	c, err := s.form.contents(all.replica)
	return c.results(s.history), err
}

// play brings the event's replica what its parents saw and makes its changes.
func (s *stage[R, M]) play(e *Event) error {
	may := make([]uint32, s.history.Replicas)
	for _, p := range e.Parents {
		for i, n := range s.seen[p] {
			may[i] = max(may[i], n)
		}
		if s.needed[p]--; s.needed[p] == 0 {
			s.seen[p] = nil
		}
	}
	a, ok := s.actors[e.Replica]
	if !ok {
		a = s.enter(e.Replica, may)
	}
	if err := s.bring(a, may); err != nil {
		return err
	}
	if len(e.Changes) > 0 {
		sent, err := s.form.play(a.replica, e)
		if err != nil {
			return err
		}
		s.parcels[e.Replica] = append(s.parcels[e.Replica], parcel[M]{e.ID, sent})
		a.at[e.Replica]++
	}
	if s.needed[e.ID] > 0 {
		s.seen[e.ID] = slices.Clone(a.at)
	}
	if s.lastUse[e.Replica] == e.ID {
		delete(s.actors, e.Replica)
	}
	return nil
}

// enter opens a replica, on what the fullest has that has seen nothing but may.
func (s *stage[R, M]) enter(id int, may []uint32) *actor[R] {
	a := &actor[R]{at: make([]uint32, s.history.Replicas)}
	var best actor[R]
	most := uint64(0)
	for _, other := range slices.Sorted(maps.Keys(s.actors)) {
		if n, ok := within(s.actors[other].at, may); ok && n > most && !s.fresh {
			best, most = *s.actors[other], n
		}
	}
	copy(a.at, best.at)
	a.replica = s.form.open(id, best.replica, most > 0)
	s.actors[id] = a
	return a
}

// bring carries to a replica what the vector contains and it lacks, shuffled
// and some of it repeated.
func (s *stage[R, M]) bring(a *actor[R], until []uint32) error {
	var lacking []parcel[M]
	for id, n := range until {
		if n > a.at[id] {
			lacking = append(lacking, s.parcels[id][a.at[id]:n]...)
			a.at[id] = n
		}
	}
	if len(lacking) == 0 {
		return nil
	}
	slices.SortFunc(lacking, func(a, b parcel[M]) int { return cmp.Compare(a.event, b.event) })
	var sent []M
	for _, p := range mix(s.rand, lacking) {
		sent = append(sent, p.sent)
	}
	return s.form.take(a.replica, sent)
}
