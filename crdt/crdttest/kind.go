package crdttest

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/joinery-crdt/joinery/crdt"
	"github.com/joinery-crdt/joinery/crdt/object"
	"github.com/joinery-crdt/joinery/hlc"
	"github.com/joinery-crdt/joinery/merge"
	"github.com/joinery-crdt/joinery/merge/mergetest"
)

// Key is the key of the object that the changes of a [KindForm] are about.
const Key = "object"

// A KindForm tells the kit how to use a type whose objects are kept as cells.
// Its functions keep no state of their own.
type KindForm struct {
	// Kind is what is tested.
	Kind crdt.Kind
	// Verbs is what a change can do, as in a [Form].
	Verbs []string
	// Apply makes a change to the object of the kind under [Key], for example
	// through a typed reference to it. An error refuses the change.
	Apply func(tx object.Tx, c Change) error
	// Read renders the object under Key in the way of Spec.
	Read func(s object.Space) (string, error)
	// Spec is the definition of the value.
	Spec Spec
	// Host returns an empty replica. Without it the kit brings one of its own,
	// which keeps to the contract of [crdt.Kind] and does no more.
	Host func(origin merge.Origin) Host
}

// A Host is a replica that keeps objects as cells.
type Host interface {
	object.Space
	// Do makes a change and returns what the other hosts must receive, nil if
	// it wrote nothing. With an error nothing happens.
	Do(at hlc.Timestamp, change func(object.Tx) error) (message any, err error)
	// Receive takes a message, in any order and any number of times, and
	// applies it when everything has been applied that its author had.
	Receive(message any) error
}

// Guarded is a clause of kinds alone: of the writes of a history with a byte
// changed or missing, those that Check accepts can be joined.
const Guarded Clause = "guard"

// Merged is a clause of kinds alone: merging the cells of two replicas with the
// Merge of the kind is applying at one of them the changes that it lacks.
const Merged Clause = "states"

// KindClauses returns the clauses of kinds. Unordered says of them that messages
// may arrive in every order.
func KindClauses() []Clause { return []Clause{Specified, Unordered, Guarded, Merged} }

// Run plays a program and returns what breaks the clause, or nil.
func (k KindForm) Run(c Clause, p Program) error { return k.run(c, p, nil) }

func (k KindForm) run(c Clause, p Program, log *[]string) (err error) {
	defer recovered(&err)
	hosts := newHosts(k)
	h := newHistory(k.Verbs, k.Spec, log, hosts)
	if err := h.play(p); err != nil {
		return err
	}
	switch c {
	case Specified:
		return h.heal()
	case Unordered:
		return hosts.unordered(h, len(p)%(mergetest.MaxDeltas+1))
	case Guarded:
		return hosts.guarded()
	case Merged:
		return hosts.merged()
	}
	return fmt.Errorf("crdttest: no clause of kinds is called %q", c)
}

// CheckKind looks for a history that shows the kind to be wrong, under causal
// delivery. It returns a [*Failure], or nil if it found none.
func CheckKind(k KindForm, o Options) error {
	for _, clause := range KindClauses() {
		run := func(p Program, log *[]string) error { return k.run(clause, p, log) }
		if err := search("kind "+k.Kind.Name(), clause, run, o); err != nil {
			return err
		}
	}
	return nil
}

// CheckTogether plays programs on both forms of one type side by side, which
// must read alike, as the specification of f says, and refuse the same changes.
// It returns a [*Failure], or nil if it found none.
func CheckTogether[V merge.Lattice[V]](f Form[V], k KindForm, o Options) error {
	run := func(p Program, log *[]string) error { return runTogether(f, k, p, log) }
	return search("kind "+k.Kind.Name()+" beside its value", Specified, run, o)
}

// RunTogether plays one program as CheckTogether does.
func RunTogether[V merge.Lattice[V]](f Form[V], k KindForm, p Program) error {
	return runTogether(f, k, p, nil)
}

func runTogether[V merge.Lattice[V]](f Form[V], k KindForm, p Program, log *[]string) (err error) {
	defer recovered(&err)
	h := newHistory(f.Verbs, f.Spec, log, newStates(f), newHosts(k))
	if err := h.play(p); err != nil {
		return err
	}
	return h.heal()
}

// hosts is the subject of a KindForm: one host per replica.
type hosts struct {
	form   KindForm
	hosts  []Host
	known  []map[int]any // per replica: the messages that it has made or received
	silent idSet         // the changes that wrote nothing
}

func newHosts(k KindForm) *hosts {
	s := &hosts{form: k}
	for i := range Replicas + 1 {
		s.hosts = append(s.hosts, s.fresh(Origin(i)))
		s.known = append(s.known, map[int]any{})
	}
	return s
}

func (s *hosts) fresh(o merge.Origin) Host {
	if s.form.Host == nil {
		return newCells(o, s.form.Kind)
	}
	return s.form.Host(o)
}

func (s *hosts) change(at int, c Change) (any, error) {
	message, err := s.hosts[at].Do(c.Time, func(tx object.Tx) error { return s.form.Apply(tx, c) })
	if wrong, ok := errors.AsType[*wrongKind](err); ok {
		return nil, wrong.error
	}
	if err != nil {
		return nil, &refusal{err}
	}
	if s.known[at][c.ID] = message; message == nil {
		s.silent |= 1 << c.ID
	}
	return message, nil
}

func (s *hosts) receive(at int, parts []part) error {
	for _, p := range parts {
		s.known[at][p.id] = p.payload
		if p.payload == nil {
			continue
		}
		if err := s.hosts[at].Receive(p.payload); err != nil {
			return fmt.Errorf("%s receives #%d: %w", name(at), p.id, err)
		}
	}
	return nil
}

func (s *hosts) all(of int) (parts []part) {
	for _, id := range slices.Sorted(maps.Keys(s.known[of])) {
		parts = append(parts, part{id, s.known[of][id]})
	}
	return parts
}

func (s *hosts) group(a, b []part) []part { return slices.Concat(a, b) }

func (s *hosts) reload(int) error { return nil }

func (s *hosts) read(at int) (string, error) { return s.form.Read(s.hosts[at]) }

func (s *hosts) causal() (silent idSet, waits bool) { return s.silent, true }

func (s *hosts) compare(a, b int) error { return s.compareHosts(s.hosts[a], s.hosts[b]) }

func (s *hosts) compareHosts(a, b Host) error {
	left, err := s.cells(a)
	if err != nil {
		return err
	}
	right, err := s.cells(b)
	if err != nil {
		return err
	}
	for _, element := range slices.Sorted(maps.Keys(left)) {
		if l, r := left[element], right[element]; l != r {
			return fmt.Errorf("two replicas that have seen everything differ in the cell %q: %x and %x", element, l, r)
		}
	}
	if len(left) != len(right) {
		return fmt.Errorf("two replicas that have seen everything have %d and %d cells", len(left), len(right))
	}
	return nil
}

// cells returns the states of an object's cells by name.
func (s *hosts) cells(h Host) (map[string]string, error) {
	states := map[string]string{}
	for c, err := range h.Reader(Key, s.form.Kind.Name()).Cells("") {
		if err != nil {
			return nil, err
		}
		states[c.Element] = string(c.State)
	}
	return states, nil
}

// unordered brings all messages to fresh hosts, the last n in every order and
// repeated.
func (s *hosts) unordered(h *history, n int) error {
	var parts []part
	for _, m := range h.messages {
		if len(m.parts[0]) == 1 && m.parts[0][0].payload != nil {
			parts = append(parts, m.parts[0]...)
		}
	}
	early := parts[:len(parts)-min(n, len(parts))]
	late := parts[len(early):]
	var want Host
	for order := range mergetest.Permutations(len(late)) {
		got := s.fresh(Origin(Replicas))
		for _, p := range early {
			if err := got.Receive(p.payload); err != nil {
				return err
			}
		}
		for i := range order {
			for _, j := range order[:i+1] {
				if err := got.Receive(late[j].payload); err != nil {
					return fmt.Errorf("the last messages in the order %v: %w", order, err)
				}
			}
		}
		if want == nil {
			want = got
		}
		if err := s.compareHosts(want, got); err != nil {
			return fmt.Errorf("the last messages in the order %v: %w", order, err)
		}
	}
	return nil
}

// guarded spoils the writes that the kit's own hosts have applied.
func (s *hosts) guarded() error {
	for at := range Replicas {
		for _, p := range s.all(at) {
			m, ok := p.payload.(*cellChange)
			if !ok {
				continue
			}
			for _, w := range m.writes {
				if err := s.spoil(s.hosts[at].(*cells), w); err != nil {
					return fmt.Errorf("of #%d: %w", p.id, err)
				}
			}
		}
	}
	return nil
}

// spoil joins w with one byte of its payload or element changed or missing into
// the cell that it belongs to, if Check accepts that.
func (s *hosts) spoil(host *cells, w crdt.Write) error {
	try := func(spoilt crdt.Write) error {
		spoilt.Dot.Seq += 1 << 20 // unseen
		if s.form.Kind.Check(spoilt) != nil {
			return nil
		}
		if _, err := s.form.Kind.Join(host.states[string(spoilt.Element)], &host.seen, spoilt); err != nil {
			return fmt.Errorf("the Check of the kind accepts the payload %x for the cell %q, Join does not: %w", spoilt.Payload, spoilt.Element, err)
		}
		return nil
	}
	for _, payload := range spoilt(w.Payload) {
		one := w
		one.Payload = payload
		if err := try(one); err != nil {
			return err
		}
	}
	for _, element := range spoilt(w.Element) {
		one := w
		one.Element = element
		if err := try(one); err != nil {
			return err
		}
	}
	return nil
}

// spoilt returns b with one byte changed, missing at the end, or too many.
func spoilt(b []byte) (all [][]byte) {
	for i := range b {
		for _, flip := range []byte{0x01, 0x80, b[i]} {
			other := bytes.Clone(b)
			other[i] ^= flip
			all = append(all, other)
		}
		all = append(all, b[:i])
	}
	return append(all, append(bytes.Clone(b), 0))
}
