package pgstore

import (
	"context"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// A view is a transaction that only reads.
type view struct {
	s    *Store
	conn *pgxpool.Conn
}

// snapshot begins a transaction and takes its snapshot, in one round trip. A
// connection that turns out to be dead is replaced.
func (s *Store) snapshot(ctx context.Context) (*view, error) {
	limited, cancel := context.WithTimeout(ctx, s.opts.Timeout)
	defer cancel()
	var err error
	for range s.opts.Views + 2 {
		var conn *pgxpool.Conn
		if conn, err = s.pool.Acquire(limited); err != nil {
			break
		}
		if err = exec(limited, conn.Conn(), "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY; SELECT 1"); err == nil {
			return &view{s, conn}, nil
		}
		abandon(conn.Conn())
		conn.Release()
		if limited.Err() != nil || !lost(err) {
			break
		}
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	return nil, s.place.describe("begin to read", err)
}

// exec runs statements without results, in one round trip.
func exec(ctx context.Context, conn *pgx.Conn, sql string) error {
	return conn.PgConn().Exec(ctx, sql).Close()
}

// query is a [queryFunc].
func (v *view) query(row func(pgx.Rows) error, sql string, args ...any) error {
	ctx, cancel := v.s.limited()
	defer cancel()
	return v.s.place.describe("read", query(ctx, v.conn.Conn(), row, sql, args...))
}

// query runs a statement and calls row for each row. Errors of row come back
// as they are.
func query(ctx context.Context, conn *pgx.Conn, row func(pgx.Rows) error, sql string, args ...any) error {
	rows, err := conn.Query(ctx, sql, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := row(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// end gives the connection back.
func (v *view) end() {
	ctx, cancel := v.s.limited()
	defer cancel()
	if v.conn.Conn().IsClosed() || exec(ctx, v.conn.Conn(), "ROLLBACK") != nil {
		abandon(v.conn.Conn())
	}
	v.conn.Release()
}
