package pgstore

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/joinery-crdt/joinery/store"
	"github.com/joinery-crdt/joinery/store/internal/overlay"
)

// A group ends when it has had this many members or has written this much.
const (
	maxMembers = 4096
	maxBytes   = 16 << 20
)

// A group is the Updates that share one commit. Its members run one after the
// other, each on its caller's goroutine, over the writes of those before; the
// one whose turn it is owns the fields above done.
type group struct {
	tx      *overlay.Tx      // the writes of all members
	order   map[string]int64 // of what was written to logs, by Key
	logged  int64            // newest number in order
	members int
	abort   error         // why nothing of the group can be committed
	full    chan struct{} // receives when the last member has run

	done chan struct{} // closed at the end
	err  error         // how the commit ended; set before done is closed
}

// newGroup returns a group that reads what is committed.
func (s *Store) newGroup() *group {
	g := &group{order: map[string]int64{}, full: make(chan struct{}, 1), done: make(chan struct{})}
	query := func(row func(pgx.Rows) error, sql string, args ...any) error {
		if g.abort != nil {
			return g.abort
		}
		err := s.writer.query(row, sql, args...)
		if _, ok := errors.AsType[*store.CorruptError](err); err != nil && !ok {
			g.abort = err // the server has ended the transaction
		}
		return err
	}
	g.tx = overlay.NewTx(&base{sql: &s.sql, query: query}, overlay.Options{})
	return g
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
	if s.opts.ReadOnly {
		return nil, errReadOnly
	}
	return s.queue.Join(ctx)
}

// run runs fn on its own writes and adds them to the group when it returns
// nil. It passes the turn on, however fn ends.
func (s *Store) run(g *group, fn func(store.Tx) error) error {
	defer s.pass(g)
	tx := overlay.NewTx(g.tx.Base(), overlay.Options{})
	defer tx.End()
	if err := fn(tx); err != nil {
		return err
	}
	if g.abort != nil {
		return g.abort
	}
	return g.add(tx)
}

// add moves the writes of a member to the group.
func (g *group) add(tx *overlay.Tx) error {
	for e := range tx.Entries() {
		if _, ok := tables[e.Key().Table()]; !ok {
			return fmt.Errorf("%w: %d; use one of package store's", ErrTable, e.Key().Table())
		}
	}
	for e := range tx.Entries() {
		if e.Key().Table() == store.Log {
			g.logged++
			g.order[string(e.Key())] = g.logged
		}
	}
	g.tx.Add(tx)
	return nil
}

// pass gives the turn to the next member that waits, or lets the group end.
func (s *Store) pass(g *group) {
	if g.members++; g.members < maxMembers && g.tx.Size() < maxBytes && g.abort == nil {
		if m := s.queue.Next(); m != nil {
			m.Give(g)
			return
		}
	}
	g.full <- struct{}{}
}

// commitAll is the committer: it commits groups until no more members come.
func (s *Store) commitAll() {
	defer close(s.done)
	for m := s.queue.Take(); m != nil; m = s.queue.Take() {
		g := s.newGroup()
		m.Give(g)
		<-g.full
		s.finish(g)
	}
}

// finish commits what the members wrote and tells them.
func (s *Store) finish(g *group) {
	defer close(g.done)
	if g.abort != nil || g.tx.Len() == 0 {
		g.err = g.abort
		s.writer.leave()
	} else {
		g.err = s.writer.commit(func(b *pgx.Batch) { s.queueWrites(b, g.tx, g.order) })
	}
	switch {
	case errors.Is(g.err, store.ErrUncertain) || errors.Is(g.err, store.ErrLocked):
		s.queue.Refuse(g.err)
	case g.err == nil && g.tx.Len() > 0:
		s.learn(g.tx)
		s.commits.Add(1)
		s.bell.ring()
		s.notifier.notify()
	}
}
