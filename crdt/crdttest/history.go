package crdttest

import (
	"errors"
	"fmt"
	"slices"
)

// A part is what one form sends: a delta, or a message of a [Host].
type part struct {
	id      int // of the change, where a part is one
	payload any
}

// A subject is a type under test in one of its forms, on all replicas.
type subject interface {
	// change makes a change, and returns its payload. A [*refusal] says that
	// the type refuses it, any other error that the type is wrong.
	change(at int, c Change) (payload any, err error)
	receive(at int, parts []part) error
	all(of int) []part // what brings a replica everything that another has
	group(a, b []part) []part
	reload(at int) error
	read(at int) (string, error)
	compare(a, b int) error // of two replicas that have seen the same
	// causal reports whether what lacks a cause waits for it, and which changes
	// sent nothing, so that nobody waits for them.
	causal() (silent idSet, waits bool)
}

// A refusal is the error of a type that refuses a change.
type refusal struct{ error }

// A message is a change, or several, on its way: for each subject its parts.
type message struct {
	parts   [][]part
	carries idSet
}

// A history is a run of a program, for all subjects alike.
type history struct {
	verbs    []string
	spec     Spec
	subjects []subject
	seen     []idSet // per replica
	changes  Changes
	messages []message
	log      *[]string // what happened, nil if nobody wants to know
}

func newHistory(verbs []string, spec Spec, log *[]string, subjects ...subject) *history {
	return &history{verbs: verbs, spec: spec, log: log, subjects: subjects, seen: make([]idSet, Replicas+1)}
}

func (h *history) tell(format string, args ...any) {
	if h.log != nil {
		*h.log = append(*h.log, fmt.Sprintf(format, args...))
	}
}

// play runs the program, and returns what broke first.
func (h *history) play(p Program) error {
	for _, s := range p {
		if err := h.step(s); err != nil {
			return err
		}
		if err := h.judge(s.At % Replicas); err != nil {
			return err
		}
	}
	return nil
}

func (h *history) step(s Step) error {
	at := s.At % Replicas
	switch s.Do % actions {
	case Local:
		return h.change(at, s)
	case Deliver:
		if m, ok := h.sent(s.From); ok {
			return h.deliver(at, m)
		}
	case Pull:
		return h.pull(at, s.From%Replicas)
	case Group:
		h.group(s.From, s.What)
	case Reload:
		return h.reload(at)
	}
	return nil
}

// sent returns the message sent n before the last, modulo their number.
func (h *history) sent(n int) (m message, ok bool) {
	if len(h.messages) == 0 {
		return m, false
	}
	return h.messages[len(h.messages)-1-n%len(h.messages)], true
}

// change makes a change at a replica that has seen the causes of all it has
// seen; what an author means who has not, no definition says.
func (h *history) change(at int, s Step) error {
	if len(h.changes) == maxChanges || h.closed(h.seen[at]) != h.seen[at] {
		return nil
	}
	c := s.change(len(h.changes), h.verbs, h.visible(at))
	m := message{carries: 1 << c.ID}
	var refused error
	for _, subject := range h.subjects {
		payload, err := subject.change(at, c)
		if no, ok := errors.AsType[*refusal](err); ok {
			err, refused = nil, no.error
		} else {
			m.parts = append(m.parts, []part{{c.ID, payload}})
		}
		if err == nil && refused != nil && len(m.parts) > 0 {
			err = fmt.Errorf("one form refuses (%w), another does not", refused)
		}
		if err != nil {
			h.tell("%s: %v", name(at), c)
			return err
		}
	}
	if refused != nil {
		h.tell("%s: %s %s %d is refused: %v", name(at), c.Verb, c.Element, c.N, refused)
		return nil
	}
	h.tell("%s: %v", name(at), c)
	h.seen[at] |= m.carries
	h.changes = append(h.changes, c)
	h.messages = append(h.messages, m)
	return nil
}

func (h *history) deliver(at int, m message) error {
	again := ""
	if h.seen[at].covers(m.carries) {
		again = " again"
	}
	h.tell("%s receives %v%s", name(at), m.carries, again)
	return h.receive(at, m)
}

func (h *history) receive(at int, m message) error {
	for i, s := range h.subjects {
		if err := s.receive(at, m.parts[i]); err != nil {
			return err
		}
	}
	h.seen[at] |= m.carries
	return nil
}

func (h *history) pull(at, from int) error {
	if at == from {
		return nil
	}
	if h.seen[from] != 0 {
		h.tell("%s merges the state of %s: %v", name(at), name(from), h.seen[from])
	}
	m := message{carries: h.seen[from]}
	for _, s := range h.subjects {
		m.parts = append(m.parts, s.all(from))
	}
	return h.receive(at, m)
}

func (h *history) group(i, j int) {
	a, ok := h.sent(i)
	if !ok {
		return
	}
	b, _ := h.sent(j)
	h.tell("%v and %v are merged into one delta", a.carries, b.carries)
	both := message{carries: a.carries | b.carries}
	for k, s := range h.subjects {
		both.parts = append(both.parts, s.group(a.parts[k], b.parts[k]))
	}
	h.messages = append(h.messages, both)
}

func (h *history) reload(at int) error {
	h.tell("%s restarts from its bytes", name(at))
	for _, s := range h.subjects {
		if err := s.reload(at); err != nil {
			return err
		}
	}
	return nil
}

// closed returns those of the changes whose causes are among them.
func (h *history) closed(seen idSet) (closed idSet) {
	for _, c := range h.changes {
		if seen.has(c.ID) && closed.covers(c.seen) {
			closed |= 1 << c.ID
		}
	}
	return closed
}

func (h *history) visible(at int) Changes { return h.those(h.seen[at]) }

func (h *history) those(ids idSet) (visible Changes) {
	for _, c := range h.changes {
		if ids.has(c.ID) {
			visible = append(visible, c)
		}
	}
	return visible
}

// judge compares the values of a replica with their definition or, if there is
// none, the cells with the value. While a cause is missing, the definition speaks
// only of forms that wait for it.
func (h *history) judge(at int) error {
	var want *string // what the value reads, if there is no definition
	for _, s := range h.subjects {
		silent, waits := s.causal()
		closed := h.closed(h.seen[at] | silent)
		if !waits && closed != h.seen[at] {
			continue
		}
		got, err := s.read(at)
		if err != nil {
			return fmt.Errorf("%s cannot be read: %w", name(at), err)
		}
		if h.spec != nil {
			if want := h.spec(h.those(closed)); got != want {
				return fmt.Errorf("%s has %q, the specification says %q", name(at), got, want)
			}
			continue
		}
		if !waits {
			want = &got
		} else if want != nil && got != *want {
			return fmt.Errorf("%s has %q in cells, the value %q", name(at), got, *want)
		}
	}
	return nil
}

// heal brings everything to all replicas: one learns from all messages but no
// state, in an order that no author saw, the others from each other.
func (h *history) heal() error {
	last := Replicas
	if len(h.messages) > 0 {
		h.tell("%s receives every message, the last sent first", name(last))
	}
	for i := range h.messages {
		m, _ := h.sent(i)
		if err := h.receive(last, m); err != nil {
			return err
		}
	}
	if err := h.judge(last); err != nil {
		return err
	}
	for at := range Replicas {
		for _, from := range slices.Concat([]int{0, 1, 2}, []int{last}) {
			if err := h.pull(at, from); err != nil {
				return err
			}
		}
		if err := h.judge(at); err != nil {
			return err
		}
		for _, s := range h.subjects {
			if err := s.compare(at, last); err != nil {
				return err
			}
		}
	}
	return nil
}
