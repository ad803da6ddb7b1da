package pgstore

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/joinery-crdt/joinery/store"
	"github.com/joinery-crdt/joinery/store/internal/overlay"
)

// An Entry is a record of a log and its position in the order of commits, from
// 1. Every Put takes the next position of its space. A record that is replaced
// moves to a new one; it and one that is deleted leave their position empty.
type Entry struct {
	Position int64
	store.Record
}

// Since returns the entries of a space's log with positions above after, in
// ascending order, at most limit; fewer, but not none, when they are large. No
// entry appears later at a position that was returned or passed, so a reader
// that asks for what is above its last position gets every entry. The caller
// owns the entries.
func (s *Store) Since(ctx context.Context, space string, after int64, limit int) ([]Entry, error) {
	if err := store.CheckKey(space, nil); err != nil {
		return nil, err
	}
	var entries []Entry
	err := s.ask(ctx, func(r pgx.Rows) error {
		var e Entry
		var crc int32
		if err := r.Scan(&e.Position, &e.Key, &e.Value, &crc); err != nil {
			return err
		}
		entries = append(entries, e)
		return verify(overlay.AppendKey(nil, space, store.Log, e.Key), e.Value, crc)
	}, s.sql.since, []byte(space), after, limit)
	return entries, err
}

// Head returns the newest position of a space's log, 0 if it never had any.
func (s *Store) Head(ctx context.Context, space string) (head int64, err error) {
	if err := store.CheckKey(space, nil); err != nil {
		return 0, err
	}
	err = s.ask(ctx, func(r pgx.Rows) error { return r.Scan(&head) }, s.sql.head, []byte(space))
	return head, err
}

// Wait returns the newest position of a space's log as soon as it is above
// after, whoever wrote there. A server that cannot be reached is waited for
// until ctx ends.
func (s *Store) Wait(ctx context.Context, space string, after int64) (head int64, err error) {
	for {
		rung := s.bell.next()
		head, err = s.Head(ctx, space)
		if err == nil && head > after || err != nil && !errors.Is(err, ErrUnavailable) {
			return head, err
		}
		if err := s.pause(ctx, rung); err != nil {
			return 0, err
		}
	}
}

// pause waits for the bell, but not for ever: a wake-up may get lost.
func (s *Store) pause(ctx context.Context, rung <-chan struct{}) error {
	t := time.NewTimer(s.opts.Poll)
	defer t.Stop()
	select {
	case <-rung:
	case <-t.C:
	case <-ctx.Done():
		return ctx.Err()
	}
	return nil
}

// ask runs a statement in a transaction of its own.
func (s *Store) ask(ctx context.Context, row func(pgx.Rows) error, sql string, args ...any) error {
	if err := s.gate.Enter(ctx); err != nil {
		return err
	}
	defer s.gate.Leave()
	limited, cancel := context.WithTimeout(ctx, s.opts.Timeout)
	defer cancel()
	conn, err := s.pool.Acquire(limited)
	if err == nil {
		err = query(limited, conn.Conn(), row, sql, args...)
		conn.Release()
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return s.place.describe("read", err)
}
