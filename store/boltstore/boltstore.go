// Package boltstore is a [store.Store] in one file, without a server: the
// default of a node.
//
// # Guarantees
//
// Every clause of the contract, and:
//
//   - Concurrent Updates share flushes: one goroutine commits whatever has
//     queued while the last commit was running, without waiting for more.
//     Neighbours in a flush share nothing else.
//   - Each record carries a checksum of its place and its value. A record
//     that does not match is a [*store.CorruptError] and is never served, nor
//     is its key called absent.
//   - Views run beside the writer. One that begins while a commit is being
//     flushed waits for that flush if it would see the commit.
//   - An Update for which the disk has no room gets a [*store.FullError] and
//     has changed nothing. Views go on, and so do Updates once there is room.
//   - A second process, or a second Open in the same one, gets a
//     [*store.LockedError].
//
// # Limits
//
// A View that stays open keeps the file from reusing pages. The file shrinks
// only when it is opened: when 16 MiB and three quarters of it can be reused,
// or by [Compact]. Beyond Options.MapSize a file can grow only between Views,
// and new Views wait with it. The inner pages of the tree, about one in a
// hundred, have no checksum: damage there is found where it breaks the
// structure or the order of records.
//
// # Format
//
// A bbolt file with one bucket for each space, in which the key of a record is
// its table's number and its key. Each value is followed by a CRC-32C of the
// space's name, that key and the value. Bucket "joinery" holds the format's
// version, and where the file lay when it was last opened.
package boltstore

import (
	"context"
	"os"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/joinery-crdt/joinery/store"
	"github.com/joinery-crdt/joinery/store/internal/overlay"
	"github.com/joinery-crdt/joinery/store/internal/turn"
	"go.etcd.io/bbolt"
)

// Options adjust a store. The zero Options are right for most.
type Options struct {
	// ReadOnly opens an existing store without changing it; Update returns
	// store.ErrReadOnly. Several processes may do so at a time.
	ReadOnly bool
	// Timeout is how long Open waits while another process holds the store.
	// 0 means one second.
	Timeout time.Duration
	// MapSize is the address space to reserve, in bytes. Memory and disk are
	// used only as far as the file reaches. 0 means 1 GiB where addresses have
	// 64 bits.
	MapSize int
	// MinFree is how many bytes of the disk are to stay free. With fewer,
	// Update returns a [*store.FullError] until there are more again. 0 means
	// 16 MiB; a negative number fills the disk.
	MinFree int64
}

// A Store is a [store.Store] in a directory.
type Store struct {
	path     string
	place    string // see Place
	readOnly bool
	minFree  int64 // bytes, negative for no limit
	diskFree func(path string) (bytes int64, err error)
	pageSize int64 // bytes
	db       *bbolt.DB
	file     *os.File // what db reads and writes

	gate    turn.Gate
	once    sync.Once // closes
	closing error     // result of once

	queue    *turn.Queue[group]
	arena    arena                 // used by the member whose turn it is
	flushing atomic.Pointer[group] // the newest group whose commit has begun
	durable  atomic.Int64          // number of the newest flushed bbolt transaction
	wedged   bool                  // whether db cannot be closed; set by the committer
	done     chan struct{}         // closed when the committer has ended

	updates, commits atomic.Uint64
}

var _ store.Store = (*Store)(nil)

// View implements [store.Store].
func (s *Store) View(ctx context.Context, fn func(store.Reader) error) error {
	return s.read(ctx, func(tx *bbolt.Tx) error {
		r := overlay.NewReader(&base{tx: tx})
		defer r.End()
		return fn(r)
	})
}

// read calls fn with a read transaction that sees only what is durable.
func (s *Store) read(ctx context.Context, fn func(*bbolt.Tx) error) error {
	if err := s.gate.Enter(ctx); err != nil {
		return err
	}
	defer s.gate.Leave()
	tx, err := s.db.Begin(false)
	if err != nil {
		return wrap("begin", err)
	}
	defer tx.Rollback() //nolint:errcheck // a read transaction has nothing to lose
	if err := s.awaitFlush(ctx, int64(tx.ID())); err != nil {
		return err
	}
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	return fn(tx)
}

// awaitFlush waits until transaction id is flushed. bbolt shows a commit to
// readers before it flushes it.
func (s *Store) awaitFlush(ctx context.Context, id int64) error {
	g := s.flushing.Load() // the group of id or a newer one
	if id <= s.durable.Load() {
		return nil
	}
	select {
	case <-g.done:
	case <-ctx.Done():
		return ctx.Err()
	}
	if id <= s.durable.Load() {
		return nil
	}
	return g.err
}

// Close implements [store.Store].
func (s *Store) Close() error {
	s.gate.Close()
	s.gate.Wait()
	s.once.Do(func() {
		s.queue.Close()
		<-s.done
		s.closing = s.release()
	})
	return s.closing
}

// release closes the file.
func (s *Store) release() error {
	if s.wedged {
		return wrap("close", s.file.Close())
	}
	return wrap("close", s.db.Close())
}

// Stats are counts since Open and sizes of the file.
type Stats struct {
	Updates   uint64 // Updates whose function returned nil
	Commits   uint64 // flushed commits that they shared
	Waiting   int    // Updates that wait for their turn now
	FileBytes int64  // used part of the file
	FreeBytes int64  // pages within it that can be reused
}

// Stats returns the counts. It may be called at any time, also after Close;
// the sizes are 0 then.
func (s *Store) Stats() Stats {
	st := Stats{Updates: s.updates.Load(), Commits: s.commits.Load(), Waiting: s.queue.Len()}
	_ = s.read(context.Background(), func(tx *bbolt.Tx) error {
		st.FileBytes = tx.Size()
		return nil
	})
	b := s.db.Stats() // counts pages
	st.FreeBytes = int64(b.FreePageN+b.PendingPageN) * s.pageSize
	return st
}
