// Package pgstore is a [store.Store] in a PostgreSQL database, for hubs: plain
// PostgreSQL 15 or newer, through pgx, with no extension.
//
// # Guarantees
//
// Every clause of the contract, and:
//
//   - Concurrent Updates share transactions: one goroutine commits whatever has
//     queued while the last commit was running. Neighbours in a transaction
//     share nothing else.
//   - Each record of the log has a position in its space. Positions are without
//     gaps and in the order of commits: a reader that asks for what is above
//     the last position it has seen (see [Store.Since]) misses nothing.
//   - Each record carries a checksum of its place and its value. A record that
//     does not match is a [*store.CorruptError] and is never served.
//   - A store belongs to one process at a time unless all open it with
//     Options.Shared. One that lost it, because it could not reach the server
//     for a while, writes nothing any more and gets an error that is
//     [store.ErrLocked]. After a restart of the server, who comes first has
//     the store.
//   - After a lost connection the store connects again. When the answer to a
//     commit was lost it asks the server how the commit ended. Only if it gets
//     no answer within Options.Timeout is the error [store.ErrUncertain].
//
// # Limits
//
// A function given to Update is called once and may read any space, so the
// Updates of one store take turns, also those of several processes. What must
// run in parallel goes to stores of its own: a database holds any number of
// them, each in a schema.
//
// Every Get of a key that was not written in the same group is a round trip to
// the server, and so is every page of a Scan. A View holds a connection.
//
// Connect to the server itself: a pooler that lends connections for a
// transaction at a time breaks the lock of the store and the wake-ups.
//
// The server decides what a commit survives. With synchronous replicas, as in
// synchronous_standby_names, that includes the loss of its disk.
package pgstore

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/joinery-crdt/joinery/store"
	"github.com/joinery-crdt/joinery/store/internal/overlay"
	"github.com/joinery-crdt/joinery/store/internal/turn"
)

// Options adjust a store. The zero Options are right for most.
type Options struct {
	// Schema is the schema that holds the store. It is created when it is
	// absent. Empty means "joinery".
	Schema string
	// Shared lets several processes have the store open. Their Updates take
	// turns. It is for programs that keep nothing in memory between
	// transactions; a node keeps what its store holds and must be alone.
	Shared bool
	// ReadOnly opens an existing store without changing it, also on a standby
	// and beside the process that has it; Update returns store.ErrReadOnly.
	ReadOnly bool
	// Timeout bounds each statement, and how long an Update waits for a server
	// that cannot be reached. 0 means 30 seconds.
	Timeout time.Duration
	// LockTimeout is how long Open waits while another process holds the
	// store. 0 means one second.
	LockTimeout time.Duration
	// Views is how many Views may run at a time; others wait. 0 means 16.
	Views int
	// Poll is how often Wait looks without having been woken. 0 means 2
	// seconds.
	Poll time.Duration
	// Describe says what the SQL view "cell" shows of a cell. It is called for
	// each cell that is written, by one goroutine at a time, and retains
	// nothing. nil, for the function or its result, shows the bytes.
	Describe func(space string, key, state []byte) *Description
}

// A Store is a [store.Store] in a schema of a database.
type Store struct {
	place    place
	identity string // of the place
	opts     Options
	sql      statements
	pool     *pgxpool.Pool // of Views

	gate    turn.Gate
	once    sync.Once // closes
	closing error     // result of once

	queue  *turn.Queue[group]
	writer writer          // used by the member whose turn it is, and by the committer
	known  map[string]bool // spaces that the server knows; the committer's
	done   chan struct{}   // closed when the committer has ended

	bell     bell
	keeper   keeper
	notifier notifier
	ailment  atomic.Pointer[error] // what Health returns

	updates, commits, reconnects atomic.Uint64
}

var _ store.Store = (*Store)(nil)

// View implements [store.Store].
func (s *Store) View(ctx context.Context, fn func(store.Reader) error) error {
	if err := s.gate.Enter(ctx); err != nil {
		return err
	}
	defer s.gate.Leave()
	v, err := s.snapshot(ctx)
	if err != nil {
		return err
	}
	defer v.end()
	r := overlay.NewReader(&base{sql: &s.sql, query: v.query})
	defer r.End()
	return fn(r)
}

// Place implements [store.Placed]. A dump that was restored is at another place
// than what was dumped, and so is a server that was recovered from an archive or
// that took over from another. A copy of the server's files that was started
// without recovery is not told apart: both are at one place.
func (s *Store) Place() string { return s.identity }

var _ store.Placed = (*Store)(nil)

// limited returns a context for one statement.
func (s *Store) limited() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), s.opts.Timeout)
}

// Close implements [store.Store].
func (s *Store) Close() error {
	s.gate.Close()
	s.bell.ring()
	s.gate.Wait()
	s.once.Do(func() {
		s.queue.Close()
		<-s.done
		s.closing = s.release()
	})
	return s.closing
}

// release ends the goroutines and the connections.
func (s *Store) release() error {
	s.notifier.stop()
	s.writer.close()
	err := s.keeper.stop()
	s.pool.Close()
	if err == nil || errors.Is(err, ErrUnavailable) {
		return nil // a server that is gone holds nothing
	}
	return err
}

// Stats are counts since Open.
type Stats struct {
	Updates    uint64 // Updates whose function returned nil and that were committed
	Commits    uint64 // transactions that they shared
	Reconnects uint64 // connections of the committer after its first
	Waiting    int    // Updates that wait for their turn now
	Views      int    // connections that Views hold now
}

// Stats returns the counts. It may be called at any time, also after Close.
func (s *Store) Stats() Stats {
	return Stats{
		Updates: s.updates.Load(), Commits: s.commits.Load(), Reconnects: s.reconnects.Load(),
		Waiting: s.queue.Len(), Views: int(s.pool.Stat().AcquiredConns()),
	}
}
