package node

import (
	"context"
	"errors"
	"iter"
	"strings"
	"sync"

	"github.com/joinery-crdt/joinery/crdt"
	"github.com/joinery-crdt/joinery/hlc"
	"github.com/joinery-crdt/joinery/merge"
	crdtsync "github.com/joinery-crdt/joinery/sync"
)

// An Event is what one change did to one cell. Its slices are shared: they must
// not be modified. Of what came in a snapshot, which is many changes at once, Dot
// and Time are zero.
type Event struct {
	Object  Object
	Element string        // which part of the object, in its stored form
	Dot     merge.Dot     // of the change
	Time    hlc.Timestamp // of the change
	Local   bool          // whether this node made the change
	Before  []byte        // state of the cell before, nil if absent
	After   []byte        // state of the cell after, nil if absent
	// Conflict is set when the change met a concurrent one that its author had
	// not seen, whichever of the two prevails.
	Conflict *Conflict
}

// A Conflict names two concurrent writes to one register or field of a
// last-writer-wins map.
type Conflict struct {
	// Kept is the write that prevails, Other the one that does not or, in a
	// multi-value register, the one that is kept beside it.
	Kept, Other merge.Dot
	// KeptValue and OtherValue are what they wrote, in canonical CBOR, and empty
	// where a field was removed.
	KeptValue, OtherValue []byte
}

// ErrLagged: a watcher was too slow, so that events were lost to it.
var ErrLagged = errors.New("node: watcher too slow; read the space again and watch anew")

// watchBuffer is how many events wait for a slow watcher.
const watchBuffer = 8192

// A Filter selects objects to watch.
type Filter func(Object) bool

// Prefix selects the objects whose key starts with p.
func Prefix(p string) Filter {
	return func(o Object) bool { return strings.HasPrefix(o.Key, p) }
}

// Only selects exactly the objects given.
func Only(objects ...Object) Filter {
	return func(o Object) bool {
		for _, p := range objects {
			if o == p {
				return true
			}
		}
		return false
	}
}

// Watch yields what changes from now on to the objects that filter selects (nil
// selects all), each event once it is durable, in the order in which changes
// were applied. It ends with ctx, with an error that says why: ctx's, or
// [ErrClosed], or [ErrLagged] when the watcher fell more than some thousand
// events behind. Watching begins with the call, not with the first iteration,
// and what is not taken is kept until ctx ends: iterate, once.
//
// The committer calls filter: it should only compute.
func (s *Space) Watch(ctx context.Context, filter Filter) iter.Seq2[Event, error] {
	if s.bad != nil {
		return func(yield func(Event, error) bool) { yield(Event{}, s.bad) }
	}
	if filter == nil {
		filter = func(Object) bool { return true }
	}
	w := &watcher{filter: filter, wake: make(chan struct{}, 1)}
	s.addWatcher(w)
	stop := context.AfterFunc(ctx, func() { s.removeWatcher(w) })
	return func(yield func(Event, error) bool) {
		defer stop()
		defer w.abandon()
		defer s.removeWatcher(w)
		for {
			events, err := w.wait(ctx, s.node.stopped)
			for _, ev := range events {
				if !yield(ev, nil) {
					return
				}
			}
			if err != nil {
				yield(Event{}, err)
				return
			}
		}
	}
}

func (s *Space) addWatcher(w *watcher) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.watchers[w] = struct{}{}
}

func (s *Space) removeWatcher(w *watcher) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.watchers, w)
}

// notify hands effects to the watchers. Only the committer calls it.
func (s *Space) notify(effects []crdtsync.Effect) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if len(s.watchers) == 0 {
		return
	}
	for _, e := range effects {
		ev := s.event(e)
		for w := range s.watchers {
			w.push(ev)
		}
	}
}

func (s *Space) event(e crdtsync.Effect) Event {
	if e.Change == nil {
		return Event{Object: Object{Key: e.Op.Cell.Object, Kind: e.Op.Cell.Kind}, Element: e.Op.Cell.Element, Before: e.Before, After: e.After}
	}
	return Event{
		Object: Object{Key: e.Op.Cell.Object, Kind: e.Op.Cell.Kind}, Element: e.Op.Cell.Element,
		Dot: e.Change.Dot, Time: e.Change.Time, Local: e.Change.Dot.Origin == s.node.Origin(),
		Before: e.Before, After: e.After, Conflict: conflict(e),
	}
}

// conflict finds the write that a register held and the author had not seen.
func conflict(e crdtsync.Effect) *Conflict {
	switch e.Op.Cell.Kind {
	case crdt.LWWKind.Name(), crdt.LWWMapKind.Name():
		return latestConflict(e)
	case crdt.MVKind.Name():
		return multiConflict(e)
	}
	return nil
}

func latestConflict(e crdtsync.Effect) *Conflict {
	before, err := crdt.DecodeField(e.Before)
	if err != nil || e.Before == nil || e.Op.Seen.Contains(before.Dot) {
		return nil
	}
	wrote := crdt.Latest{Time: e.Change.Time, Dot: e.Change.Dot, Value: e.Op.Payload}
	if wrote.Compare(&before) < 0 {
		wrote, before = before, wrote
	}
	return &Conflict{wrote.Dot, before.Dot, wrote.Value, before.Value}
}

func multiConflict(e crdtsync.Effect) *Conflict {
	after, err := crdt.DecodeDots(e.After)
	if err != nil || !e.Op.Put {
		return nil
	}
	for other := range after.All() {
		if other.Dot != e.Change.Dot {
			return &Conflict{e.Change.Dot, other.Dot, e.Op.Payload, other.Value}
		}
	}
	return nil
}

// watcher is the queue of one Watch.
type watcher struct {
	filter Filter
	wake   chan struct{}

	mu     sync.Mutex // guards what follows
	events []Event
	lagged bool
}

func (w *watcher) push(ev Event) {
	if !w.filter(ev.Object) {
		return
	}
	w.mu.Lock()
	if len(w.events) >= watchBuffer {
		w.lagged = true
	}
	if !w.lagged {
		w.events = append(w.events, ev)
	}
	w.mu.Unlock()
	poke(w.wake)
}

// lag makes the watcher end: what it has seen is no longer so.
func (w *watcher) lag() {
	w.mu.Lock()
	w.lagged = true
	w.mu.Unlock()
	poke(w.wake)
}

// abandon forgets the queue: a second loop learns that it has lost events.
func (w *watcher) abandon() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.events, w.lagged = nil, true
}

// wait returns the events that came, at least one unless it returns an error.
// Once stopped is closed no more come.
func (w *watcher) wait(ctx context.Context, stopped <-chan struct{}) ([]Event, error) {
	for {
		if events, err := w.take(); len(events) > 0 || err != nil {
			return events, err
		}
		select {
		case <-w.wake:
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-stopped:
			events, _ := w.take()
			return events, ErrClosed
		}
	}
}

// take empties the queue. Events before a gap are still handed out.
func (w *watcher) take() ([]Event, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.events) == 0 && w.lagged {
		return nil, ErrLagged
	}
	events := w.events
	w.events = nil
	return events, nil
}
