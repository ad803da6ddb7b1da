package op

import (
	"bytes"
	"iter"
	"maps"
	"slices"
	"strings"

	"github.com/joinery-crdt/joinery/crdt"
	"github.com/joinery-crdt/joinery/crdt/object"
	"github.com/joinery-crdt/joinery/hlc"
	"github.com/joinery-crdt/joinery/merge"
)

// A Config says how a [Replica] works. The zero value of all but Self is usable.
type Config struct {
	// Self is the origin under which the replica writes: random, never that of
	// another replica, and a new one after a restore or a copy.
	Self merge.Origin
	// Kinds are the kinds of objects. It is not modified; nil stands for
	// [crdt.Builtin].
	Kinds crdt.Kinds
	// MaxHeld and MaxHeldSize, Members, Learn, Stable and Retain are those of
	// [DeliveryConfig]; sizes are in bytes of what the ops carry.
	MaxHeld, MaxHeldSize int
	Members              []merge.Origin
	Learn                bool
	Stable               func(merge.Dot)
	Retain               bool
}

// A Replica holds objects in operation form, in memory. Typed references
// (package crdt/object) read it directly and write it in Do. It is not safe for
// concurrent use.
type Replica struct {
	kinds     crdt.Kinds
	delivery  *Delivery[*Message]
	objects   map[object.Object]*cells
	lastTime  hlc.Timestamp
	delivered []*Message // by the Receive that runs
}

// NewReplica returns an empty replica.
func NewReplica(cfg Config) *Replica {
	r := &Replica{kinds: cfg.Kinds, objects: make(map[object.Object]*cells)}
	if r.kinds == nil {
		r.kinds = crdt.Builtin()
	}
	r.delivery = NewDelivery(r.deliveryConfig(cfg))
	return r
}

func (r *Replica) deliveryConfig(cfg Config) DeliveryConfig[*Message] {
	return DeliveryConfig[*Message]{
		Self: cfg.Self, MaxHeld: cfg.MaxHeld, MaxHeldSize: cfg.MaxHeldSize, Size: (*Message).size,
		Members: cfg.Members, Learn: cfg.Learn, Stable: cfg.Stable, Retain: cfg.Retain,
		Deliver: func(_ Header, m *Message) error { return r.effect(m) },
	}
}

// size returns roughly how many bytes a message holds.
func (m *Message) size() int {
	n := 100
	for i := range m.Ops {
		op := &m.Ops[i]
		n += 100 + len(op.Key) + len(op.Element) + len(op.Payload) + 24*len(op.Seen)
	}
	return n
}

// Clone returns a replica that begins with what the receiver has applied, under
// the configuration given, whose Self must be new and whose Kinds are those of
// the receiver if nil. Nothing waits in it. Cells are shared, since nobody
// modifies them.
func (r *Replica) Clone(cfg Config) *Replica {
	c := &Replica{kinds: cfg.Kinds, objects: make(map[object.Object]*cells, len(r.objects)), lastTime: r.lastTime}
	if c.kinds == nil {
		c.kinds = r.kinds
	}
	c.delivery = r.delivery.clone(c.deliveryConfig(cfg))
	for name, o := range r.objects {
		c.objects[name] = o.clone()
	}
	return c
}

// Delivery returns the replica's causal delivery, for its vector, what is
// missing, and stability. Its Send and Receive must not be called: the replica
// does.
func (r *Replica) Delivery() *Delivery[*Message] { return r.delivery }

// LastTime returns the largest stamp of what has been applied. The next Do takes
// one above it: a clock (package hlc) is advanced to it first.
func (r *Replica) LastTime() hlc.Timestamp { return r.lastTime }

// Receive takes a message from the transport and returns the messages that were
// applied, in order: it and what waited for it, or none if it was applied before
// or has to wait. The replica keeps m.
//
// The errors are [*MessageError], [*KindError], [*OwnError] and [*FullError], or
// from a kind's Join; a message met by one of them is not applied and can be
// offered again.
func (r *Replica) Receive(m *Message) ([]*Message, error) {
	if r.delivery.Contains(m.Dot) {
		return nil, nil
	}
	if err := r.checkMessage(m); err != nil {
		return nil, err
	}
	r.delivered = nil
	_, err := r.delivery.Receive(m.Header(), m)
	return r.delivered, err
}

// checkMessage returns an error unless all kinds know and accept their writes.
func (r *Replica) checkMessage(m *Message) error {
	if err := m.check(); err != nil {
		return err
	}
	for i := range m.Ops {
		kind, ok := r.kinds[m.Ops[i].Kind]
		if !ok {
			return &KindError{m.Ops[i].Kind, r.kinds.Names()}
		}
		if err := kind.Check(m.write(&m.Ops[i])); err != nil {
			return m.malformed("a write that its kind refuses", err)
		}
	}
	return nil
}

// effect applies a message whose time has come, whole or not at all.
func (r *Replica) effect(m *Message) error {
	after := make([][]byte, len(m.Ops))
	for i := range m.Ops {
		op := &m.Ops[i]
		state, err := r.kinds[op.Kind].Join(r.cell(op.Cell), r.delivery, m.write(op))
		if err != nil {
			return m.malformed("its effect", err)
		}
		after[i] = state
	}
	for i := range m.Ops {
		r.set(m.Ops[i].Cell, after[i])
	}
	r.lastTime = max(r.lastTime, m.Time)
	r.delivered = append(r.delivered, m)
	return nil
}

func (r *Replica) cell(c Cell) []byte {
	if o := r.objects[object.Object{Key: c.Key, Kind: c.Kind}]; o != nil {
		return o.states[c.Element]
	}
	return nil
}

func (r *Replica) set(c Cell, state []byte) {
	name := object.Object{Key: c.Key, Kind: c.Kind}
	o := r.objects[name]
	if o == nil {
		if state == nil {
			return
		}
		o = &cells{states: make(map[string][]byte, 1)}
		r.objects[name] = o
	}
	if o.set(c.Element, state); len(o.states) == 0 {
		delete(r.objects, name)
	}
}

// Objects yields the objects that have cells and whose key starts with prefix,
// by key and kind.
func (r *Replica) Objects(prefix string) iter.Seq[object.Object] {
	var found []object.Object
	for o := range r.objects {
		if strings.HasPrefix(o.Key, prefix) {
			found = append(found, o)
		}
	}
	slices.SortFunc(found, func(a, b object.Object) int {
		return Cell{Key: a.Key, Kind: a.Kind}.Compare(Cell{Key: b.Key, Kind: b.Kind})
	})
	return slices.Values(found)
}

// Equal reports whether both have applied the same messages and hold the same
// cells.
func (r *Replica) Equal(o *Replica) bool {
	return r.delivery.seen.Equal(o.delivery.seen) && maps.EqualFunc(r.objects, o.objects, (*cells).equal)
}

// cells is the cells of one object. States are never modified.
type cells struct {
	states map[string][]byte
	sorted []string // the elements, ascending; nil if it has to be made anew
}

func (c *cells) set(element string, state []byte) {
	_, here := c.states[element]
	if here != (state != nil) {
		c.sorted = nil
	}
	if state == nil {
		delete(c.states, element)
		return
	}
	c.states[element] = state
}

func (c *cells) clone() *cells { return &cells{maps.Clone(c.states), c.sorted} }

func (c *cells) equal(o *cells) bool { return maps.EqualFunc(c.states, o.states, bytes.Equal) }

// elements returns the elements that start with prefix, ascending.
func (c *cells) elements(prefix string) []string {
	if c.sorted == nil {
		c.sorted = slices.Sorted(maps.Keys(c.states))
	}
	first, _ := slices.BinarySearch(c.sorted, prefix)
	end := first
	for end < len(c.sorted) && strings.HasPrefix(c.sorted[end], prefix) {
		end++
	}
	return c.sorted[first:end]
}
