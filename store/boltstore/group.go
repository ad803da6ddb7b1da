package boltstore

import (
	"bytes"
	"context"
	"fmt"
	"runtime/debug"

	"github.com/joinery-crdt/joinery/store"
	"github.com/joinery-crdt/joinery/store/internal/overlay"
	"go.etcd.io/bbolt"
)

// A group ends when it has had this many members or has written this much.
const (
	maxMembers = 4096
	maxBytes   = 16 << 20
)

// A group is the Updates that share one commit. Its members run one after the
// other, each on its caller's goroutine; the one whose turn it is owns the
// fields above done.
type group struct {
	tx      *bbolt.Tx
	base    *base
	members int
	bytes   int
	writes  int
	abort   error         // why nothing of the group can be committed
	full    chan struct{} // receives when the last member has run

	done chan struct{} // closed at the end
	err  error         // how the commit ended; set before done is closed
}

// Update implements [store.Store].
func (s *Store) Update(ctx context.Context, fn func(store.Tx) error) error {
	if err := s.gate.Enter(ctx); err != nil {
		return err
	}
	defer s.gate.Leave()
	g, err := s.join(ctx)
	if err != nil {
		return err
	}
	// Even a function that fails may have seen its neighbours' writes: nobody
	// learns of them before they are durable.
	defer func() { <-g.done }()
	if err := s.run(g, fn); err != nil {
		return err
	}
	if <-g.done; g.err == nil {
		s.updates.Add(1)
	}
	return g.err
}

// join waits for a turn in a group.
func (s *Store) join(ctx context.Context) (*group, error) {
	if s.readOnly {
		return nil, store.ErrReadOnly
	}
	return s.queue.Join(ctx)
}

// run runs fn on its own writes and adds them to the group when it returns
// nil. It passes the turn on, however fn ends.
func (s *Store) run(g *group, fn func(store.Tx) error) error {
	defer s.pass(g)
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	tx := overlay.NewTx(g.base, overlay.Options{Slack: sumSize, Alloc: s.arena.alloc})
	defer tx.End()
	if err := fn(tx); err != nil {
		return err
	}
	g.bytes += tx.Size()
	g.writes += tx.Len()
	g.abort = g.apply(tx)
	return g.abort
}

// pass gives the turn to the next member that waits, or lets the group end.
func (s *Store) pass(g *group) {
	if g.members++; g.members < maxMembers && g.bytes < maxBytes && g.abort == nil {
		if m := s.queue.Next(); m != nil {
			m.Give(g)
			return
		}
	}
	g.full <- struct{}{}
}

// apply moves the writes of one member to the group's transaction.
func (g *group) apply(tx *overlay.Tx) (err error) {
	defer guard(nil, &err)
	var w spaceWriter
	for e := range tx.Entries() {
		if err := w.open(g.tx, e.Key().Space()); err != nil {
			return err
		}
		if err := w.write(e); err != nil {
			return err
		}
	}
	return w.close()
}

// A spaceWriter writes to one space after the other.
type spaceWriter struct {
	tx      *bbolt.Tx
	space   []byte
	bucket  *bbolt.Bucket
	deleted bool // whether a record was
}

// open goes to the named space, unless the writer is there.
func (w *spaceWriter) open(tx *bbolt.Tx, space []byte) error {
	if w.tx != nil && bytes.Equal(w.space, space) {
		return nil
	}
	if err := w.close(); err != nil {
		return err
	}
	bucket, err := findBucket(tx, space)
	*w = spaceWriter{tx: tx, space: space, bucket: bucket}
	return err
}

// write puts or deletes a record.
func (w *spaceWriter) write(e overlay.Entry) (err error) {
	inner := e.Key().Inner()
	if e.Deleted() {
		if w.bucket == nil {
			return nil
		}
		w.deleted = true
		return w.bucket.Delete(inner)
	}
	if w.bucket == nil {
		if w.bucket, err = w.tx.CreateBucket(bucketName(w.space)); err != nil {
			return err
		}
	}
	return w.bucket.Put(inner, seal(e))
}

// close leaves the space and removes it if that was its last record.
func (w *spaceWriter) close() error {
	if !w.deleted {
		return nil
	}
	if k, _ := w.bucket.Cursor().First(); k != nil {
		return nil
	}
	return w.tx.DeleteBucket(bucketName(w.space))
}

// commitAll is the committer: it commits groups until no more members come or
// a commit does not succeed.
func (s *Store) commitAll() {
	defer close(s.done)
	debug.SetPanicOnFault(true)
	for m := s.queue.Take(); m != nil; m = s.queue.Take() {
		if err := s.room(0); err != nil {
			m.TurnAway(err)
			continue
		}
		g, err := s.begin()
		if err != nil {
			m.TurnAway(err)
			s.queue.Refuse(err)
			return
		}
		m.Give(g)
		<-g.full
		s.finish(g)
	}
}

// begin starts a group.
func (s *Store) begin() (*group, error) {
	tx, err := s.db.Begin(true)
	if err != nil {
		return nil, wrap("begin", err)
	}
	s.arena.reset()
	return &group{tx: tx, base: &base{tx: tx}, full: make(chan struct{}, 1), done: make(chan struct{})}, nil
}

// finish commits what the members wrote and tells them.
func (s *Store) finish(g *group) {
	defer close(g.done)
	if g.abort != nil || g.writes == 0 {
		g.err = g.abort
		s.rollback(g.tx)
		return
	}
	if g.err = s.room(int64(g.bytes)); g.err != nil {
		s.rollback(g.tx)
		return
	}
	s.flush(g)
}

// flush commits a group that has writes. After a commit of which nobody can
// say whether it survived, and after one that the disk did not take for
// another reason than its size, the store takes no more.
func (s *Store) flush(g *group) {
	id := g.tx.ID()
	s.flushing.Store(g)
	s.db.AllocSize = int(min(max(g.tx.Size()/8, minGrowth), maxGrowth))
	err := commit(g.tx)
	if err == nil {
		s.durable.Store(int64(id))
		s.commits.Add(1)
		return
	}
	s.rollback(g.tx)
	if g.err = s.rejected(err, uint64(id)); g.err == nil {
		g.err = uncertain(err)
		s.queue.Refuse(g.err)
	}
}

// A file grows by an eighth within these bounds, in bytes.
const (
	minGrowth = 256 << 10
	maxGrowth = 16 << 20
)

// commit is tx.Commit for a file that may be damaged.
func commit(tx *bbolt.Tx) (err error) {
	defer guard(nil, &err)
	return tx.Commit()
}

// rollback ends tx if it has not ended.
func (s *Store) rollback(tx *bbolt.Tx) {
	defer func() {
		if p := recover(); p != nil {
			s.wedged = true
			s.queue.Refuse(uncertain(fmt.Errorf("rollback: %v", p)))
		}
	}()
	_ = tx.Rollback() // its only error is that tx has ended
}

// uncertain returns the error of a commit that may or may not survive.
func uncertain(err error) error {
	return fmt.Errorf("boltstore: commit: %w: %w", store.ErrUncertain, err)
}
