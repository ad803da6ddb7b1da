package node

import (
	"context"
	"errors"
	"fmt"

	"github.com/joinery-crdt/joinery/internal/spacestore"
	"github.com/joinery-crdt/joinery/merge"
	"github.com/joinery-crdt/joinery/store"
	crdtsync "github.com/joinery-crdt/joinery/sync"
)

// A Horizon says how much of a space's past to let go of. Neither vector has to
// be one that some node had; what lies beyond what is applied is left out.
type Horizon struct {
	// Log is the changes to take out of the log. A peer that lacks some of them
	// gets cells instead. Of each change it stays known what it wrote to, so that
	// only those cells are sent.
	Log *merge.VersionVector
	// Stubs is the changes of which even that is forgotten, as far as they are
	// out of the log. A peer that lacks some of them gets all cells.
	Stubs *merge.VersionVector
}

// ErrUnread says that a log cannot be truncated because it holds ops of types
// that this node does not know: they are nowhere else.
var ErrUnread = errors.New("node: the log holds operations of unknown types; upgrade this node or register the types, then truncate")

// truncateAtOnce is how many changes leave the log in one commit.
const truncateAtOnce = 1024

// Truncate lets go of what lies before the horizon. It works in small commits,
// and what was let go of when it returns an error stays so; calling it again
// goes on. Nothing is lost: peers that lack what left the log get a snapshot.
func (s *Space) Truncate(ctx context.Context, h Horizon) error {
	if s.bad != nil {
		return s.bad
	}
	for _, work := range []struct {
		of *merge.VersionVector
		do func(b *batch, d merge.Dot) (bool, error)
	}{{h.Log, s.truncateSome}, {h.Stubs, s.forgetSome}} {
		if work.of == nil {
			continue
		}
		for _, d := range work.of.Sorted() {
			if err := s.repeat(ctx, d, work.do); err != nil {
				return err
			}
		}
	}
	return nil
}

// Floor returns what is applied and no longer in the log, in a vector of the
// caller's own.
func (s *Space) Floor() *merge.VersionVector {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.core.Floors()
}

// repeat has the committer work until there is no more to do.
func (s *Space) repeat(ctx context.Context, d merge.Dot, do func(*batch, merge.Dot) (bool, error)) error {
	for more := true; more; {
		var failed error
		err := s.node.chore(ctx, func(b *batch) error {
			more, failed = do(b, d)
			return nil
		})
		if err == nil {
			err = failed
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *Space) truncateSome(b *batch, d merge.Dot) (more bool, err error) {
	if s.core.Summary().Unread > 0 {
		return false, ErrUnread
	}
	until := min(d.Seq, s.core.Head(d.Origin).Seq)
	last, more, err := spacestore.Truncate(b.tx, s.name, d.Origin, s.core.Floor(d.Origin), until, truncateAtOnce)
	if err != nil {
		return false, err
	}
	b.wrote = true
	if last > s.core.Floor(d.Origin) {
		b.stageOf(s).RaiseFloor(merge.Dot{Origin: d.Origin, Seq: last})
	}
	return more, nil
}

func (s *Space) forgetSome(b *batch, d merge.Dot) (more bool, err error) {
	until := min(d.Seq, s.core.Floor(d.Origin))
	if until == 0 {
		return false, nil
	}
	b.wrote = true
	return spacestore.Forget(b.tx, s.name, d.Origin, until, truncateAtOnce)
}

// chore is other work for the committer.
type chore struct {
	do   func(*batch) error
	done chan struct{}
	err  error
}

// chore has the committer do something in a batch and waits until that is
// durable. The error of do makes the whole batch fail.
func (n *Node) chore(ctx context.Context, do func(*batch) error) error {
	c := &chore{do: do, done: make(chan struct{})}
	if err := n.submit(ctx, c); err != nil {
		return err
	}
	select {
	case <-c.done:
		return c.err
	case <-n.stopped:
		return ErrClosed
	}
}

func (c *chore) weight() int          { return 1 }
func (c *chore) stage(b *batch) error { return c.do(b) }
func (c *chore) finish(err error)     { c.err = err; close(c.done) }

// intake is a snapshot that is being received: of each space one at a time.
type intake struct {
	by       *peerLink
	receiver spacestore.Receiver
	parts    int // that have come, guarded by Space.mu
}

// came counts a part.
func (in *intake) came(s *Space) {
	s.mu.Lock()
	in.parts++
	s.mu.Unlock()
}

// staged returns how many parts have come.
func (in *intake) staged() int {
	if in == nil {
		return 0
	}
	return in.parts
}

// claim makes l the link from which the space takes a snapshot, unless it takes
// one from another.
func (s *Space) claim(l *peerLink) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.intake == nil {
		s.intake = &intake{by: l}
	}
	return s.intake.by == l
}

// claimed returns the intake of the space if it is from l, nil otherwise.
func (s *Space) claimed(l *peerLink) *intake {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.intake == nil || s.intake.by != l {
		return nil
	}
	return s.intake
}

func (s *Space) release(l *peerLink) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.intake != nil && s.intake.by == l {
		s.intake = nil
	}
}

// releaseAll lets other links send snapshots in place of l.
func (n *Node) releaseAll(l *peerLink) {
	n.spacesMu.RLock()
	defer n.spacesMu.RUnlock()
	for _, s := range n.spaces {
		s.release(l)
	}
}

// takeStaged keeps parts of snapshots, and merges those that are complete.
func (l *peerLink) takeStaged(ctx context.Context, r crdtsync.Ready) error {
	for _, part := range r.Staged {
		s := l.node.Space(part.Space)
		if s.bad != nil {
			return s.bad
		}
		if err := l.takePart(ctx, s, part.Frame); err != nil {
			return notStored(ctx, err)
		}
	}
	return nil
}

func (l *peerLink) takePart(ctx context.Context, s *Space, f crdtsync.Frame) error {
	begin, ok := f.(*crdtsync.SnapshotBegin)
	if ok && !s.claim(l) {
		l.leave(s)
		return nil
	}
	if ok && begin.Step == crdtsync.SnapshotOffer {
		return l.acceptOffer(ctx, s, begin)
	}
	in := s.claimed(l)
	if in == nil {
		l.leave(s)
		return nil
	}
	switch f := f.(type) {
	case *crdtsync.SnapshotBegin:
		return l.node.chore(ctx, func(b *batch) error { b.wrote = true; return in.receiver.Begin(b.tx, s.name, f) })
	case *crdtsync.SnapshotChunk:
		err := l.node.chore(ctx, func(b *batch) error { b.wrote = true; return in.receiver.Chunk(b.tx, s.name, f) })
		in.came(s)
		return err
	case *crdtsync.SnapshotNamed:
		return l.takeNamed(ctx, s, in, f)
	case *crdtsync.SnapshotEnd:
		return l.mergeStaged(ctx, s, f)
	}
	return nil
}

// takeNamed keeps cells that the peer has named by ops, or asks for their keys.
func (l *peerLink) takeNamed(ctx context.Context, s *Space, in *intake, f *crdtsync.SnapshotNamed) error {
	var unknown *merge.VersionVector
	err := l.node.chore(ctx, func(b *batch) (err error) {
		b.wrote = true
		unknown, err = in.receiver.Named(b.tx, s.name, f)
		return err
	})
	in.came(s)
	if err != nil || unknown == nil {
		return err
	}
	s.release(l)
	l.mu.Lock()
	r := l.core.Spell(s.name, unknown)
	l.mu.Unlock()
	return l.queue(r)
}

func (l *peerLink) leave(s *Space) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.core.Leave(s.name)
}

// acceptOffer asks for the snapshot that the peer offers, or for the rest of it.
func (l *peerLink) acceptOffer(ctx context.Context, s *Space, f *crdtsync.SnapshotBegin) error {
	var st spacestore.Staging
	err := l.node.store.View(ctx, func(r store.Reader) (err error) {
		st, err = spacestore.StagingOf(r, s.name)
		return err
	})
	if err != nil {
		return err
	}
	l.mu.Lock()
	r := l.core.Request(f, st.Base, st.After)
	l.mu.Unlock()
	return l.queue(r)
}

// mergeStaged makes a complete snapshot visible, whole or not at all.
func (l *peerLink) mergeStaged(ctx context.Context, s *Space, f *crdtsync.SnapshotEnd) error {
	var refused error
	err := l.node.chore(ctx, func(b *batch) (err error) {
		b.wrote = true
		err, refused = spacestore.Merge(b.tx, s.name, b.stageOf(s), f)
		return err
	})
	if err != nil {
		s.release(l)
		return err
	}
	if !errors.Is(refused, crdtsync.ErrFuture) {
		s.release(l)
	}
	if e, ok := errors.AsType[*crdtsync.RefusedError](refused); ok {
		s.noteRefused(e)
	} else if refused != nil {
		l.node.log.Warn("snapshot not taken", "code", "snapshot_refused", "space", s.name, "peer", l.peer.address, "reason", fmt.Sprint(refused))
	}
	l.mu.Lock()
	r := l.core.Merged(s.name, s.Vector().Sorted(), refused)
	l.mu.Unlock()
	return l.queue(r)
}

var _ crdtsync.Source = locals{}

// Floor implements crdtsync.Source.
func (l locals) Floor(space string, o merge.Origin) uint64 {
	s := l.node.lookup(space)
	if s == nil {
		return 0
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.core.Floor(o)
}

func (l locals) read(space string, fn func(spacestore.Snapshots) error) error {
	return l.node.store.View(l.node.ctx, func(r store.Reader) error {
		return fn(spacestore.Snapshots{Reader: r, Space: space})
	})
}

// State implements crdtsync.Source.
func (l locals) State(space string) (heads map[merge.Origin]crdtsync.Head, sum crdtsync.Summary, err error) {
	err = l.read(space, func(s spacestore.Snapshots) (err error) {
		heads, sum, err = s.State()
		return err
	})
	return heads, sum, err
}

// CellsAfter implements crdtsync.Source.
func (l locals) CellsAfter(space, key string, size int) (cells []crdtsync.StoredCell, err error) {
	err = l.read(space, func(s spacestore.Snapshots) (err error) {
		cells, err = s.CellsAfter(key, size)
		return err
	})
	return cells, err
}

// CellsAt implements crdtsync.Source.
func (l locals) CellsAt(space string, keys []string) (cells []crdtsync.StoredCell, err error) {
	err = l.read(space, func(s spacestore.Snapshots) (err error) {
		cells, err = s.CellsAt(keys)
		return err
	})
	return cells, err
}

// Touched implements crdtsync.Source.
func (l locals) Touched(space string, after merge.Dot, until uint64, count int, known merge.Dots) (touches []crdtsync.Touch, last uint64, err error) {
	err = l.read(space, func(s spacestore.Snapshots) (err error) {
		touches, last, err = spacestore.Touched(s.Reader, space, after, until, count, known)
		return err
	})
	return touches, last, err
}
