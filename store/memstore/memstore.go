// Package memstore is a [store.Store] in memory, for tests, browsers and nodes
// that need no tomorrow.
//
// # Guarantees
//
//   - Every clause of the contract, with the [Disk] in the place of a disk:
//     what Update returned nil for is there as long as the Disk is.
//   - Views never wait for an Update's function, nor Updates for Views.
//
// # Costs
//
// A write costs one allocation for its key and value and its place in one
// ordered tree. A View costs no copy; only an Update that commits while Views
// are open copies the parts of the tree it changes.
package memstore

import (
	"context"
	"sync"

	"github.com/joinery-crdt/joinery/store"
	"github.com/joinery-crdt/joinery/store/internal/overlay"
)

// A Store is a [store.Store] on a [Disk].
type Store struct {
	disk    *Disk
	turn    chan struct{} // holds a token while an Update runs
	running sync.WaitGroup
	closed  bool // guarded by disk.mu
	once    sync.Once
}

var _ store.Store = (*Store)(nil)

// New returns a store on a disk of its own.
func New() *Store { return newStore(&Disk{used: true}) }

func newStore(d *Disk) *Store { return &Store{disk: d, turn: make(chan struct{}, 1)} }

// Open returns the store kept on d, which holds what stores opened on it before
// have committed. While another one is open it returns a [*store.LockedError].
// The store retains d.
func Open(d *Disk) (*Store, error) {
	if err := d.lock(); err != nil {
		return nil, err
	}
	return newStore(d), nil
}

// View implements [store.Store].
func (s *Store) View(ctx context.Context, fn func(store.Reader) error) error {
	v, err := s.enter(ctx)
	if err != nil {
		return err
	}
	defer s.running.Done()
	defer s.disk.release(v)
	r := overlay.NewReader(base{v.tree})
	defer r.End()
	return fn(r)
}

// enter takes a snapshot for a View.
func (s *Store) enter(ctx context.Context) (*version, error) {
	s.disk.mu.Lock()
	defer s.disk.mu.Unlock()
	if err := s.start(ctx); err != nil {
		return nil, err
	}
	v := s.disk.current()
	v.views++
	return v, nil
}

// start counts a transaction in, or says why there can be none. The caller
// holds disk.mu.
func (s *Store) start(ctx context.Context) error {
	if s.closed {
		return store.ErrClosed
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	s.running.Add(1)
	return nil
}

// Update implements [store.Store].
func (s *Store) Update(ctx context.Context, fn func(store.Tx) error) error {
	tree, err := s.takeTurn(ctx)
	if err != nil {
		return err
	}
	defer s.running.Done()
	defer func() { <-s.turn }()
	tx := overlay.NewTx(base{tree}, overlay.Options{})
	defer tx.End()
	if err := fn(tx); err != nil {
		return err
	}
	s.disk.apply(tx)
	return nil
}

// takeTurn waits until no other Update runs and returns the tree, which nobody
// changes until the turn is given back.
func (s *Store) takeTurn(ctx context.Context) (*overlay.Tree, error) {
	s.disk.mu.Lock()
	err := s.start(ctx)
	s.disk.mu.Unlock()
	if err != nil {
		return nil, err
	}
	select {
	case s.turn <- struct{}{}:
		return s.disk.tree(), nil
	case <-ctx.Done():
		s.running.Done()
		return nil, ctx.Err()
	}
}

// Close implements [store.Store]. The disk may be opened again after it.
func (s *Store) Close() error {
	s.disk.mu.Lock()
	s.closed = true
	s.disk.mu.Unlock()
	s.running.Wait()
	s.once.Do(s.disk.unlock)
	return nil
}
