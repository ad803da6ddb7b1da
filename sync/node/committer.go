package node

import (
	"context"
	"errors"
	"slices"

	"github.com/joinery-crdt/joinery/internal/spacestore"
	"github.com/joinery-crdt/joinery/merge"
	"github.com/joinery-crdt/joinery/store"
	crdtsync "github.com/joinery-crdt/joinery/sync"
)

// Bounds of one commit: how many jobs share it, and how many changes of peers.
const (
	maxGather  = 1024
	maxOffered = 4096
)

// A job is work for the committer.
type job interface {
	// stage does the work in the batch. It keeps its own errors; what it
	// returns makes the whole batch fail.
	stage(b *batch) error
	// finish is called once, when the batch is durable and published, or with
	// the error for which it is neither.
	finish(err error)
	// weight is the number of changes the job brings.
	weight() int
}

// submit hands a job to the committer.
func (n *Node) submit(ctx context.Context, j job) error {
	if n.ctx.Err() != nil {
		return ErrClosed
	}
	if err := ctx.Err(); err != nil {
		return err // the select may choose the other case
	}
	select {
	case n.jobs <- j:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-n.ctx.Done():
		return ErrClosed
	}
}

// commitLoop is the committer: it gathers the jobs that wait into one
// transaction, so that they share one flush.
func (n *Node) commitLoop() {
	defer close(n.stopped)
	for {
		select {
		case j := <-n.jobs:
			n.commit(n.gather(j))
		case f := <-n.mends:
			n.mendFork(f)
		case <-n.ctx.Done():
			n.refuseRest()
			return
		}
	}
}

func (n *Node) gather(first job) []job {
	jobs, weight := []job{first}, first.weight()
	for len(jobs) < maxGather && weight < maxOffered {
		select {
		case j := <-n.jobs:
			jobs, weight = append(jobs, j), weight+j.weight()
		default:
			return jobs
		}
	}
	return jobs
}

func (n *Node) refuseRest() {
	for {
		select {
		case j := <-n.jobs:
			j.finish(ErrClosed)
		default:
			return
		}
	}
}

// errNothing ends a transaction that has nothing to write.
var errNothing = errors.New("node: nothing to write")

// commit stages the jobs, makes the outcome durable and only then publishes it.
func (n *Node) commit(jobs []job) {
	err := n.failure()
	if err == nil {
		b := &batch{node: n, stages: make(map[*Space]*crdtsync.Stage), holds: make(map[*Space]*holds)}
		err = n.outcome(n.store.Update(n.ctx, func(tx store.Tx) error { return b.run(tx, jobs) }))
		if err == nil {
			b.publish()
		}
	}
	for _, j := range jobs {
		j.finish(err)
	}
}

// failure returns why the store takes nothing more.
func (n *Node) failure() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if errors.Is(n.failed, store.ErrUncertain) {
		return n.failed
	}
	return nil
}

// outcome notes how a commit ended, for Status and the commits to come, and
// returns the error that its jobs get.
func (n *Node) outcome(err error) error {
	switch {
	case errors.Is(err, errNothing):
		return nil
	case err == nil:
	case n.ctx.Err() != nil && !errors.Is(err, store.ErrUncertain):
		return ErrClosed
	default:
		n.log.Error("commit", "code", "store_error", "err", err)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.failed = err
	return err
}

// batch is the work of one commit.
type batch struct {
	node     *Node
	tx       store.Tx
	stages   map[*Space]*crdtsync.Stage
	order    []*Space
	persists map[*Space]*crdtsync.Persist
	meetings []meeting
	wrote    bool // what is in no stage
	holds    map[*Space]*holds
}

func (b *batch) run(tx store.Tx, jobs []job) error {
	b.tx = tx
	for _, j := range jobs {
		if err := j.stage(b); err != nil {
			return err
		}
	}
	return b.save()
}

// stageOf returns the batch's stage of a space, opened if need be.
func (b *batch) stageOf(s *Space) *crdtsync.Stage {
	st, ok := b.stages[s]
	if !ok {
		st = s.core.Stage(spacestore.Cells{Reader: b.tx, Space: s.name}, b.node.clock.Limit())
		st.Record() // somebody may begin to watch before it is durable
		b.stages[s] = st
		b.order = append(b.order, s)
	}
	return st
}

func (b *batch) save() error {
	b.persists = make(map[*Space]*crdtsync.Persist, len(b.stages))
	empty := true
	for _, s := range b.order {
		p := b.stages[s].Persist()
		b.persists[s] = p
		if p.Empty() {
			continue
		}
		empty = false
		if err := spacestore.Save(b.tx, s.name, p); err != nil {
			return err
		}
	}
	if err := b.saveHolds(); err != nil {
		return err
	}
	if empty && !b.wrote {
		return errNothing
	}
	return b.saveMeetings()
}

// publish makes what is durable visible to readers, watchers and peers.
func (b *batch) publish() {
	for _, s := range b.order {
		s.mu.Lock()
		effects := b.stages[s].Commit()
		s.remember(b.persists[s])
		s.clearRefused(b.persists[s].Heads)
		s.mu.Unlock()
		b.node.clock.Advance(b.persists[s].Summary.LastTime)
		s.notify(effects)
	}
	b.publishMeetings()
	b.publishHolds()
	b.tellLinks()
}

// tellLinks tells the links what has moved. A link that comes later reads it
// by itself.
func (b *batch) tellLinks() {
	links := b.node.allLinks()
	for _, s := range b.order {
		heads := b.persists[s].Moved()
		if len(heads) == 0 {
			continue
		}
		for _, l := range links {
			l.moved(s.name, heads)
		}
	}
}

// update is a transaction of the application. Its function runs in the
// goroutine of its caller, while the committer waits, so that a panic is the
// caller's.
type update struct {
	space *Space
	turn  chan *Tx      // the committer lends the transaction
	gone  chan struct{} // closed when the caller gave up before its turn
	ran   chan struct{} // closed when the caller is done with it
	done  chan struct{} // closed when the outcome is known
	err   error
}

func newUpdate(s *Space) *update {
	return &update{
		space: s, turn: make(chan *Tx), gone: make(chan struct{}),
		ran: make(chan struct{}), done: make(chan struct{}),
	}
}

// do waits for its turn, runs fn and waits until the change is durable. There
// is no turn if the batch fails before.
func (u *update) do(ctx context.Context, fn func(*Tx) error) error {
	select {
	case tx := <-u.turn:
		u.run(ctx, tx, fn)
		<-u.done
		return u.err
	case <-u.done:
		return u.err
	case <-ctx.Done():
		close(u.gone)
		return ctx.Err()
	case <-u.space.node.stopped:
		return ErrClosed
	}
}

// run runs fn, which may also panic or end its goroutine.
func (u *update) run(ctx context.Context, tx *Tx, fn func(*Tx) error) {
	defer close(u.ran)
	defer tx.end()
	if u.err = ctx.Err(); u.err != nil {
		return
	}
	u.err = errAborted
	u.err = fn(tx)
}

// errAborted: the transaction's function did not return.
var errAborted = errors.New("node: transaction aborted")

func (u *update) weight() int { return 1 }

func (u *update) stage(b *batch) error {
	tx := newTx(u.space, b)
	select {
	case u.turn <- tx:
	case <-u.gone:
		return nil
	}
	<-u.ran
	if u.err == nil {
		u.err = tx.author()
	}
	return nil
}

func (u *update) finish(err error) {
	if u.err == nil {
		u.err = err
	}
	close(u.done)
}

// offer is changes from a peer or a file.
type offer struct {
	node     *Node
	changes  []crdtsync.Offered
	rejected []crdtsync.Rejected // to be kept in quarantine
	from     *source             // nil for a file
	done     chan struct{}
	err      error
	results  map[string]*offerResult // by space
}

// offerResult is what became of offered changes of one space.
type offerResult struct {
	applied   int
	duplicate int
	early     merge.VersionVector     // came before what they depend on
	heads     map[merge.Origin]uint64 // of the origins offered, as the batch leaves them
	refused   []error
}

// A source is the peer that changes came from, and the position at which their
// space meets it.
type source struct {
	peer     merge.Origin
	position uint64
	name     string // for people
}

// String names the source for people.
func (s *source) String() string {
	if s == nil {
		return "a file"
	}
	return s.name
}

// offer stages changes and waits until they are durable.
func (n *Node) offer(ctx context.Context, changes []crdtsync.Offered, from *source, rejected ...crdtsync.Rejected) (map[string]*offerResult, error) {
	o, err := n.startOffer(ctx, changes, from, rejected...)
	if err != nil {
		return nil, err
	}
	return o.wait(ctx)
}

// startOffer hands changes to the committer.
func (n *Node) startOffer(ctx context.Context, changes []crdtsync.Offered, from *source, rejected ...crdtsync.Rejected) (*offer, error) {
	o := &offer{node: n, changes: changes, from: from, rejected: rejected, done: make(chan struct{}), results: make(map[string]*offerResult)}
	return o, n.submit(ctx, o)
}

// wait returns what became of the changes. Those that were staged when ctx ends
// are taken nevertheless.
func (o *offer) wait(ctx context.Context) (map[string]*offerResult, error) {
	select {
	case <-o.done:
		return o.results, o.err
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-o.node.stopped:
		return nil, ErrClosed
	}
}

func (o *offer) weight() int { return len(o.changes) + len(o.rejected) }

func (o *offer) stage(b *batch) error {
	for _, c := range o.changes {
		s := o.node.Space(c.Space)
		if s.bad != nil {
			o.err = s.bad
			return nil
		}
		o.stageOne(b, s, c.Change)
	}
	for _, r := range o.rejected {
		if s := o.node.Space(r.Space); s.bad == nil {
			s.noteRefused(r.Err)
			b.quarantine(s, r.Raw, o.from.String(), r.Err)
		}
	}
	for name, r := range o.results {
		s := o.node.Space(name)
		st := b.stageOf(s)
		if o.from != nil && o.from.position > 0 {
			b.meetings = append(b.meetings, meeting{s, o.from.peer, o.from.position})
		}
		for origin := range r.heads {
			r.heads[origin] = st.Head(origin).Seq
		}
	}
	return nil
}

// errUnreadable: a change cannot be applied because a cell cannot be read.
var errUnreadable = errors.New("node: stored cell unreadable")

func (o *offer) stageOne(b *batch, s *Space, c *crdtsync.Change) {
	r, ok := o.results[s.name]
	if !ok {
		r = &offerResult{heads: make(map[merge.Origin]uint64)}
		o.results[s.name] = r
	}
	err := spacestore.TookBack(s.given, c)
	if err == nil {
		err = b.stageOf(s).Offer(c)
	} else {
		o.node.disown(s, c)
	}
	r.heads[c.Dot.Origin] = 0
	switch refusal, refused := errors.AsType[*crdtsync.RefusedError](err); {
	case err == nil:
		r.applied++
	case errors.Is(err, crdtsync.ErrDuplicate):
		r.duplicate++
	case errors.Is(err, crdtsync.ErrEarly), errors.Is(err, crdtsync.ErrFull):
		r.early.Raise(c.Dot)
	case refused:
		r.refused = append(r.refused, err)
		if s.core.Severed(c.Dot.Origin) == 0 { // of which the status says more
			s.noteRefused(refusal)
		}
		o.refuse(b, s, c, refusal)
	default:
		r.refused = append(r.refused, err)
		s.noteRefused(&crdtsync.RefusedError{Dot: c.Dot, Kind: errUnreadable, Reason: err.Error()})
	}
}

// refuse keeps a refused change, unless its refusal shows that it is this node
// that is to be mended.
func (o *offer) refuse(b *batch, s *Space, c *crdtsync.Change, e *crdtsync.RefusedError) {
	head := b.stageOf(s).Head(c.Dot.Origin).Seq
	switch {
	case e.Kind != crdtsync.ErrForked || !o.node.identity().Has(c.Dot.Origin):
		if split, ok := b.splitByRefusal(s, c); ok {
			o.node.foundSplit(split)
		}
		if s.core.Severed(c.Dot.Origin) != 0 && o.from != nil && o.from.peer != c.Dot.Origin {
			return // who brings it has it, and sets it apart when it hears of the fork
		}
		b.quarantine(s, c.Bytes(), o.from.String(), e)
	case c.Dot.Origin == o.node.Origin() && c.Dot.Seq > head:
		o.node.foundFork(o.node.identity(), crdtsync.Fork{Space: s.name, Origin: c.Dot.Origin, Common: head})
	}
}

func (o *offer) finish(err error) {
	if err != nil {
		o.results, o.err = nil, err
	}
	close(o.done)
}

// appliedHeads returns the heads in r as dots, ascending.
func (r *offerResult) appliedHeads() []merge.Dot {
	var dots []merge.Dot
	for o, seq := range r.heads {
		if seq > 0 {
			dots = append(dots, merge.Dot{Origin: o, Seq: seq})
		}
	}
	slices.SortFunc(dots, merge.Dot.Compare)
	return dots
}

// noteRefused remembers the first change of an origin that is held back, and
// above all that the origin has forked.
func (s *Space) noteRefused(e *crdtsync.RefusedError) {
	s.mu.Lock()
	known, ok := s.refused[e.Dot.Origin]
	news := !ok || known.Kind != e.Kind && e.Kind == crdtsync.ErrForked
	if news {
		s.refused[e.Dot.Origin] = e
	}
	s.mu.Unlock()
	if news {
		s.node.log.Warn("change refused", "code", "refused", "space", s.name, "change", e.Dot, "reason", e.Reason)
	}
}

// clearRefused forgets refusals of origins that have moved on. A fork stays: the
// other branch is still out there. The caller holds s.mu.
func (s *Space) clearRefused(heads map[merge.Origin]crdtsync.Head) {
	for o, h := range heads {
		if e, ok := s.refused[o]; ok && h.Seq >= e.Dot.Seq && e.Kind != crdtsync.ErrForked {
			delete(s.refused, o)
		}
	}
}
