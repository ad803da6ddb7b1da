package op

import (
	"maps"
	"slices"

	"github.com/joinery-crdt/joinery/merge"
)

// A Header is what causal delivery needs to know of a message.
type Header struct {
	Dot merge.Dot
	// Deps must be delivered first, and with each all of its origin before it.
	// The predecessor of Dot goes without saying.
	Deps []merge.Dot
}

// check returns a [*MessageError] unless h can be the header of a message.
func (h Header) check() error {
	if h.Dot.Seq == 0 || h.Dot.Seq > merge.MaxSeq {
		return &MessageError{Dot: h.Dot, Problem: "a dot that names no message"}
	}
	for _, d := range h.Deps {
		if d.Seq == 0 || d.Seq > merge.MaxSeq || d.Origin == h.Dot.Origin && d.Seq >= h.Dot.Seq {
			return &MessageError{Dot: h.Dot, Problem: "a dependency that names no message, or none before it"}
		}
	}
	return nil
}

// A DeliveryConfig says how a [Delivery] works. The zero value of all but Self
// is usable.
type DeliveryConfig[M any] struct {
	// Self is the origin under which Send sends. Nobody else sends under it.
	Self merge.Origin
	// Deliver is called with each message, once and in causal order. A message
	// for which it returns an error counts as not delivered. It must not call
	// the Delivery.
	Deliver func(Header, M) error
	// MaxHeld and MaxHeldSize bound what waits: the number of messages, and the
	// sum of their sizes and dependencies. 0 stands for 4,096 and 16 Mi.
	MaxHeld, MaxHeldSize int
	// Size returns the size of a message, in bytes or what MaxHeldSize counts
	// besides dependencies. Without it each counts 1.
	Size func(M) int
	// Members are those whose acknowledgement stability waits for. Learn adds
	// everybody who is heard of. Without either, nothing becomes stable.
	Members []merge.Origin
	Learn   bool
	// Stable is called with each dot that has become stable, once, ascending
	// within an origin. It must not call the Delivery.
	Stable func(merge.Dot)
	// Retain keeps what is sent and delivered until it is stable, for Resend. It
	// takes Members or Learn.
	Retain bool
}

// A Delivery turns a transport that loses, repeats and reorders messages into
// exactly-once causal delivery. It is not safe for concurrent use.
//
// Source: Birman, Schiper, Stephenson, TOCS 1991; Baquero, Almeida, Shoker,
// 2017.
type Delivery[M any] struct {
	cfg       DeliveryConfig[M]
	seen      *merge.VersionVector
	tips      map[merge.Origin]struct{} // origins on whose last message no delivered one depends
	held      holdBack[M]
	missed    map[merge.Origin]uint64 // the last message of each that was refused, or that one waits for
	stability *stability              // nil if nobody is a member
	retained  map[merge.Dot]early[M]
}

// NewDelivery returns a Delivery that has seen nothing. It keeps no slice of
// cfg.
func NewDelivery[M any](cfg DeliveryConfig[M]) *Delivery[M] {
	d := &Delivery[M]{
		cfg: cfg, seen: &merge.VersionVector{}, tips: make(map[merge.Origin]struct{}),
		held: newHoldBack[M](cfg.MaxHeld, cfg.MaxHeldSize), missed: make(map[merge.Origin]uint64),
		retained: make(map[merge.Dot]early[M]),
	}
	if len(cfg.Members) > 0 || cfg.Learn {
		d.stability = newStability(cfg.Self, cfg.Members)
	}
	return d
}

// clone returns a Delivery with the same past and another configuration, in
// which nothing waits.
func (d *Delivery[M]) clone(cfg DeliveryConfig[M]) *Delivery[M] {
	c := NewDelivery(cfg)
	c.seen, c.tips = d.seen.Clone(), maps.Clone(d.tips)
	return c
}

// Next returns the header of the next message sent, without sending it.
func (d *Delivery[M]) Next() Header {
	self := d.cfg.Self
	h := Header{Dot: merge.Dot{Origin: self, Seq: d.seen.Get(self) + 1}}
	for o := range d.tips {
		if o != self {
			h.Deps = append(h.Deps, merge.Dot{Origin: o, Seq: d.seen.Get(o)})
		}
	}
	slices.SortFunc(h.Deps, merge.Dot.Compare)
	return h
}

// Send takes the next header for m, which counts as delivered here. The caller
// applies it and sends it to everybody; Deliver is not called. The dependencies
// of the header are the tips: the messages on which no other delivered one
// depends.
func (d *Delivery[M]) Send(m M) Header {
	h := d.Next()
	d.advance(h, m)
	return h
}

// Receive takes a message from the transport and calls Deliver for it and for
// what waited for it, in causal order. It returns their number, which is 0 for a
// message that was delivered before or that has to wait. The error is a
// [*MessageError], an [*OwnError], a [*FullError], or what Deliver returned, first
// of several; the messages counted are delivered all the same. It keeps h and m.
func (d *Delivery[M]) Receive(h Header, m M) (delivered int, err error) {
	if err := h.check(); err != nil {
		return 0, err
	}
	switch {
	case d.seen.Contains(h.Dot):
		return 0, nil
	case h.Dot.Origin == d.cfg.Self:
		return 0, &OwnError{h.Dot}
	}
	if missing, ok := d.firstMissing(h); ok {
		return 0, d.hold(early[M]{h, m}, missing)
	}
	if err := d.deliver(h, m); err != nil {
		return 0, err
	}
	more, err := d.release(h.Dot)
	return more + 1, err
}

// firstMissing returns a message that has to be delivered before the one with
// the header, if there is one.
func (d *Delivery[M]) firstMissing(h Header) (merge.Dot, bool) {
	if h.Dot.Seq > d.seen.Get(h.Dot.Origin)+1 {
		return merge.Dot{Origin: h.Dot.Origin, Seq: h.Dot.Seq - 1}, true
	}
	for _, dep := range h.Deps {
		if !d.seen.Contains(dep) {
			return dep, true
		}
	}
	return merge.Dot{}, false
}

func (d *Delivery[M]) hold(e early[M], missing merge.Dot) error {
	size := 1
	if d.cfg.Size != nil {
		size = d.cfg.Size(e.message)
	}
	if d.held.add(e, missing, size+len(e.header.Deps)) {
		return nil
	}
	d.miss(e.header.Dot)
	d.miss(missing)
	return &FullError{e.header.Dot, missing}
}

// maxMissed is how many origins are noted for messages that were refused.
const maxMissed = 4096

// miss notes a message to ask for of which nothing else reminds, unless too many
// origins are noted already.
func (d *Delivery[M]) miss(dot merge.Dot) {
	if _, ok := d.missed[dot.Origin]; ok || len(d.missed) < maxMissed {
		d.missed[dot.Origin] = max(d.missed[dot.Origin], dot.Seq)
	}
}

func (d *Delivery[M]) deliver(h Header, m M) error {
	if d.cfg.Deliver != nil {
		if err := d.cfg.Deliver(h, m); err != nil {
			d.miss(h.Dot)
			return err
		}
	}
	d.advance(h, m)
	return nil
}

// release delivers what waited for a message, and what waited for that.
func (d *Delivery[M]) release(dot merge.Dot) (delivered int, err error) {
	for next := []merge.Dot{dot}; len(next) > 0; next = next[1:] {
		for _, e := range d.held.take(next[0]) {
			done, problem := d.retry(e)
			if err == nil {
				err = problem
			}
			if done {
				delivered++
				next = append(next, e.header.Dot)
			}
		}
	}
	return delivered, err
}

func (d *Delivery[M]) retry(e early[M]) (delivered bool, err error) {
	if d.seen.Contains(e.header.Dot) {
		return false, nil
	}
	if missing, ok := d.firstMissing(e.header); ok {
		return false, d.hold(e, missing)
	}
	if err := d.deliver(e.header, e.message); err != nil {
		return false, err
	}
	return true, nil
}

// advance counts a message as delivered.
func (d *Delivery[M]) advance(h Header, m M) {
	for _, dep := range h.Deps {
		if d.seen.Get(dep.Origin) == dep.Seq {
			delete(d.tips, dep.Origin)
		}
	}
	d.tips[h.Dot.Origin] = struct{}{}
	d.seen.Raise(h.Dot)
	if d.missed[h.Dot.Origin] <= h.Dot.Seq {
		delete(d.missed, h.Dot.Origin)
	}
	if d.stability == nil {
		return
	}
	if d.cfg.Retain {
		d.retained[h.Dot] = early[M]{h, m}
	}
	d.learn(h)
}

// Self returns the origin under which Send sends.
func (d *Delivery[M]) Self() merge.Origin { return d.cfg.Self }

// Contains reports whether the message has been delivered, or sent.
func (d *Delivery[M]) Contains(dot merge.Dot) bool { return d.seen.Contains(dot) }

// Vector returns what has been delivered and sent, in a vector of the caller's
// own. Told to others, it is an acknowledgement.
func (d *Delivery[M]) Vector() *merge.VersionVector { return d.seen.Clone() }
