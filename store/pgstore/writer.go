package pgstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/joinery-crdt/joinery/store"
)

// A writer is the connection on which groups commit.
type writer struct {
	s      *Store
	cfg    *pgx.ConnConfig
	id     uuid.UUID // of this process in table writer
	fence  int64     // as that table has it
	groups int64     // committed ones
	conn   *pgx.Conn // nil if there is none
	used   time.Time // when conn was used last
	inside bool      // whether a transaction has begun
}

// Pauses between attempts to connect, and how long a connection may be idle
// before it is tried.
const (
	firstPause = 20 * time.Millisecond
	lastPause  = time.Second
	idle       = time.Second
)

// connected makes sure that there is a connection that was alive a moment ago.
// It tries until ctx ends, unless the server says that this is useless.
func (w *writer) connected(ctx context.Context) error {
	if w.conn != nil && time.Since(w.used) > idle && w.conn.Ping(ctx) != nil {
		w.drop()
	}
	if w.conn != nil && !w.conn.IsClosed() {
		return nil
	}
	for pause := firstPause; ; pause = min(2*pause, lastPause) {
		conn, err := w.s.connect(ctx, w.cfg)
		if err == nil {
			if w.conn = conn; w.groups > 0 || w.fence > 0 {
				w.s.reconnects.Add(1)
			}
			return nil
		}
		if !passing(err) || wait(ctx, pause) != nil {
			return err
		}
	}
}

// wait lets some time pass.
func wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// drop gives the connection up, and with it the transaction.
func (w *writer) drop() {
	if w.conn != nil {
		abandon(w.conn)
	}
	w.conn, w.inside = nil, false
}

// enterWith queues the statement that begins the next group.
func (w *writer) enterWith(b *pgx.Batch) {
	b.Queue(w.s.sql.enter, w.s.place.key("turn"), w.id, w.fence, w.groups+1)
}

// send runs a batch.
func (w *writer) send(ctx context.Context, b *pgx.Batch) error {
	err := w.conn.SendBatch(ctx, b).Close()
	w.used = time.Now()
	return err
}

// enter begins the group's transaction unless it has begun. The turn is taken
// before the first statement, so all of them see the same state.
func (w *writer) enter() error {
	if w.inside {
		return nil
	}
	ctx, cancel := w.s.limited()
	defer cancel()
	for {
		err := w.connected(ctx)
		if err != nil {
			return w.s.place.describe("connect", err)
		}
		b := &pgx.Batch{}
		b.Queue("BEGIN")
		w.enterWith(b)
		if err = w.send(ctx, b); err == nil {
			w.inside = true
			return nil
		}
		w.drop()
		if !lost(err) || ctx.Err() != nil {
			return w.s.place.describe("begin to write", err)
		}
	}
}

// query is a [queryFunc] within the group's transaction.
func (w *writer) query(row func(pgx.Rows) error, sql string, args ...any) error {
	if err := w.enter(); err != nil {
		return err
	}
	ctx, cancel := w.s.limited()
	defer cancel()
	err := query(ctx, w.conn, row, sql, args...)
	w.used = time.Now()
	return w.s.place.describe("read", err)
}

// leave ends the transaction, if one has begun, without a trace.
func (w *writer) leave() {
	if w.inside {
		w.rollback()
	}
}

func (w *writer) rollback() {
	ctx, cancel := w.s.limited()
	defer cancel()
	if w.conn.IsClosed() || exec(ctx, w.conn, "ROLLBACK") != nil {
		w.drop()
	}
	w.inside = false
}

// commit makes the statements that queue adds durable, with all that the group
// has read. A group that has read nothing is tried again when the connection is
// lost.
func (w *writer) commit(queue func(*pgx.Batch)) error {
	ctx, cancel := w.s.limited()
	defer cancel()
	if w.inside {
		_, err := w.outcome(w.sendCommit(ctx, queue))
		return err
	}
	for {
		if err := w.connected(ctx); err != nil {
			return w.s.place.describe("connect", err)
		}
		undone, err := w.outcome(w.sendCommit(ctx, queue))
		if !undone || ctx.Err() != nil {
			return err
		}
	}
}

// sendCommit sends the rest of a group, or all of it if it has not begun: the
// server makes one transaction of a batch.
func (w *writer) sendCommit(ctx context.Context, queue func(*pgx.Batch)) error {
	b := &pgx.Batch{}
	if !w.inside {
		w.enterWith(b)
	}
	queue(b)
	if w.inside {
		b.Queue("COMMIT")
	}
	return w.send(ctx, b)
}

// outcome returns how a group ended whose statements were sent, and whether the
// connection was lost and left nothing of it.
func (w *writer) outcome(err error) (undone bool, _ error) {
	switch {
	case err == nil:
		w.inside = false
		w.groups++
		return false, nil
	case !lost(err):
		w.rollback()
		return false, w.s.place.describe("commit", err)
	}
	committed, unknown := w.resolve()
	switch {
	case unknown != nil:
		return false, &Error{
			Place: w.s.place.String(), Problem: "the answer to a commit was lost", Kind: store.ErrUncertain,
			Do: "open the store again when the server can be reached", Err: errors.Join(err, unknown),
		}
	case committed:
		w.groups++
		return false, nil
	}
	return true, w.s.place.describe("commit", err)
}

// resolve asks how the newest group ended, and makes sure that the answer stays
// true: the higher fence refuses what may still be on its way.
func (w *writer) resolve() (committed bool, err error) {
	w.drop()
	ctx, cancel := w.s.limited()
	defer cancel()
	for {
		if err := w.connected(ctx); err != nil {
			return false, err
		}
		var fence, groups int64
		err := w.conn.QueryRow(ctx, w.s.sql.resolve, w.id).Scan(&fence, &groups)
		w.used = time.Now()
		if err == nil {
			return w.settle(fence, groups)
		}
		w.drop()
		if !lost(err) || ctx.Err() != nil {
			return false, err
		}
	}
}

// settle compares what the server counted with what was acknowledged.
func (w *writer) settle(fence, groups int64) (committed bool, err error) {
	w.fence = fence
	if groups != w.groups && groups != w.groups+1 {
		return false, fmt.Errorf("the server has %d of %d acknowledged groups", groups, w.groups)
	}
	return groups == w.groups+1, nil
}

// close says that this process writes no more.
func (w *writer) close() {
	if w.conn == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_, _ = w.conn.Exec(ctx, w.s.sql.leave, w.id) // a row that stays does no harm
	w.drop()
}
