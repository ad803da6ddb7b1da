package pgstore

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/joinery-crdt/joinery/store"
)

// A keeper holds the store's lock in a session of its own, and listens there
// for what other processes commit. When it loses the session it makes a new
// one; until then rows of table writer protect the store.
type keeper struct {
	s      *Store
	cfg    *pgx.ConnConfig
	conn   *pgx.Conn // nil while there is none; the goroutine's after start
	cancel context.CancelFunc
	ended  chan struct{}
}

// lockPause is the time between attempts to get the lock.
const lockPause = 20 * time.Millisecond

// lock takes the store's lock for the session.
func (k *keeper) lock(ctx context.Context) error {
	if k.s.opts.ReadOnly {
		return nil
	}
	waiting, cancel := context.WithTimeout(ctx, k.s.opts.LockTimeout)
	defer cancel()
	for {
		held, err := k.tryLock(ctx)
		if err != nil {
			return k.s.place.describe("lock", err)
		}
		if held {
			return nil
		}
		if wait(waiting, lockPause) != nil {
			return k.s.place.locked()
		}
	}
}

func (k *keeper) tryLock(ctx context.Context) (held bool, err error) {
	sql := "SELECT pg_try_advisory_lock($1)"
	if k.s.opts.Shared {
		sql = "SELECT pg_try_advisory_lock_shared($1)"
	}
	err = k.conn.QueryRow(ctx, sql, k.s.place.key("open")).Scan(&held)
	return held, err
}

// locked returns the error of a store that another process has.
func (p place) locked() error {
	return &Error{Place: p.String(), Problem: "another process has the store open", Do: "stop that process or choose another schema", Kind: store.ErrLocked}
}

// start begins to listen, with the connection that has the lock.
func (k *keeper) start() {
	var ctx context.Context
	ctx, k.cancel = context.WithCancel(context.Background())
	k.ended = make(chan struct{})
	go k.keep(ctx)
}

// stop gives the lock back.
func (k *keeper) stop() error {
	k.cancel()
	<-k.ended
	if k.conn == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_, err := k.conn.Exec(ctx, "SELECT pg_advisory_unlock_all()")
	abandon(k.conn)
	return k.s.place.describe("unlock", err)
}

// keep listens until ctx ends.
func (k *keeper) keep(ctx context.Context) {
	defer close(k.ended)
	for {
		err := k.listen(ctx)
		if ctx.Err() != nil {
			return
		}
		k.s.ail(err)
		abandon(k.conn)
		k.conn = nil
		for pause := firstPause; k.conn == nil; pause = min(2*pause, lastPause) {
			if wait(ctx, pause) != nil {
				return
			}
			if k.conn, err = k.s.connect(ctx, k.cfg); err != nil {
				k.s.ail(err)
			}
		}
		if !k.s.opts.ReadOnly {
			_, _ = k.tryLock(ctx) // if another process was faster, table writer says so
		}
	}
}

// ail notes what keeps the server away, nil for nothing.
func (s *Store) ail(err error) {
	if err = s.place.describe("connect", err); err == nil {
		s.ailment.Store(nil)
		return
	}
	s.ailment.Store(&err)
}

// Health implements [store.Watched]: it returns an [*Error] from when a
// connection was lost until there is a new one.
func (s *Store) Health() error {
	if err := s.ailment.Load(); err != nil {
		return *err
	}
	return nil
}

var _ store.Watched = (*Store)(nil)

// listen rings the bell for every wake-up and returns when the session ends.
func (k *keeper) listen(ctx context.Context) error {
	limited, cancel := context.WithTimeout(ctx, k.s.opts.Timeout)
	_, err := k.conn.Exec(limited, "LISTEN "+k.s.place.channel())
	cancel()
	for err == nil {
		k.s.ail(nil)
		k.s.bell.ring() // at the start, for what happened before
		err = k.await(ctx)
	}
	return err
}

// probe is how long the session may be silent before it is tried.
const probe = 30 * time.Second

// await waits for a wake-up, and makes sure now and then that one can come.
func (k *keeper) await(ctx context.Context) error {
	for {
		quiet, cancel := context.WithTimeout(ctx, probe)
		_, err := k.conn.WaitForNotification(quiet)
		cancel()
		if ctx.Err() != nil || !errors.Is(err, context.DeadlineExceeded) {
			return err
		}
		limited, cancel := context.WithTimeout(ctx, k.s.opts.Timeout)
		err = k.conn.Ping(limited)
		cancel()
		if err != nil {
			return err
		}
	}
}

// A bell wakes all who wait for it. The zero bell is ready.
type bell struct {
	mu   sync.Mutex // guards rung
	rung chan struct{}
}

// next returns a channel that is closed when the bell rings next.
func (b *bell) next() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.rung == nil {
		b.rung = make(chan struct{})
	}
	return b.rung
}

// ring wakes those who wait.
func (b *bell) ring() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.rung != nil {
		close(b.rung)
		b.rung = nil
	}
}

// A notifier wakes other processes, a few times a second at most: a NOTIFY in
// every transaction would make commits wait for each other.
type notifier struct {
	s      *Store
	wake   chan struct{} // holds a token when there is something to tell
	cancel context.CancelFunc
	ended  chan struct{}
}

// The time between two notifications, and where nobody else writes.
const (
	notifyPause      = 20 * time.Millisecond
	notifyPauseAlone = 250 * time.Millisecond
)

// notify asks for a notification.
func (n *notifier) notify() {
	select {
	case n.wake <- struct{}{}:
	default:
	}
}

func (n *notifier) start() {
	var ctx context.Context
	ctx, n.cancel = context.WithCancel(context.Background())
	n.ended = make(chan struct{})
	go n.run(ctx)
}

// stop ends the goroutine, if there is one, after what it has to tell.
func (n *notifier) stop() {
	if n.cancel != nil {
		n.cancel()
		<-n.ended
	}
}

func (n *notifier) run(ctx context.Context) {
	defer close(n.ended)
	pause := notifyPauseAlone
	if n.s.opts.Shared {
		pause = notifyPause
	}
	for {
		select {
		case <-n.wake:
			n.tell()
		case <-ctx.Done():
			return
		}
		_ = wait(ctx, pause)
		select {
		case <-ctx.Done():
			if len(n.wake) > 0 {
				n.tell()
			}
			return
		default:
		}
	}
}

// tell notifies once. It is a hint: that it is lost at a crash does no harm,
// nor that it does not arrive.
func (n *notifier) tell() {
	ctx, cancel := n.s.limited()
	defer cancel()
	conn, err := n.s.pool.Acquire(ctx)
	if err != nil {
		return
	}
	defer conn.Release()
	_ = exec(ctx, conn.Conn(), "BEGIN; SET LOCAL synchronous_commit = off; NOTIFY "+n.s.place.channel()+"; COMMIT")
}
