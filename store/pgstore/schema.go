package pgstore

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/joinery-crdt/joinery/store"
)

// migrations holds what makes format n out of format n-1, as 000n.sql.
//
//go:embed migrations/*.sql
var migrations embed.FS

// formatVersion is the version of the format that this package writes.
const formatVersion = 2

// quoted returns the schema's name as SQL takes it.
func (p place) quoted() string { return pgx.Identifier{p.schema}.Sanitize() }

// migrate brings the place to this version's format, in one transaction.
func (p place) migrate(ctx context.Context, conn *pgx.Conn, readOnly bool) error {
	have, err := p.format(ctx, conn)
	if err != nil || have == formatVersion {
		return err
	}
	if readOnly {
		return p.outdated(have)
	}
	err = pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error { return p.upgrade(ctx, tx) })
	return p.describe("migrate", err)
}

// outdated returns the error of a read-only Open.
func (p place) outdated(have int) error {
	problem := fmt.Sprintf("format version %d, older than %d", have, formatVersion)
	if have == 0 {
		return &Error{Place: p.String(), Problem: "there is no store", Do: "open it for writing once", Kind: fs.ErrNotExist}
	}
	return &Error{Place: p.String(), Problem: problem, Do: "open it for writing once", Kind: store.ErrReadOnly}
}

// A rower is a connection or a transaction.
type rower interface {
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// format returns the version of the format at the place, 0 for an empty one.
func (p place) format(ctx context.Context, q rower) (version int, err error) {
	var known, any bool
	err = q.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_tables WHERE schemaname = $1 AND tablename = 'format')
			AND EXISTS (SELECT FROM pg_tables WHERE schemaname = $1 AND tablename = 'writer'),
		EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1)`, p.schema).Scan(&known, &any)
	switch {
	case err != nil:
		return 0, p.describe("look for a store", err)
	case !any:
		return 0, nil
	case !known:
		return 0, p.foreign("tables of another program", "choose another schema", store.ErrForeign)
	}
	err = q.QueryRow(ctx, "SELECT version FROM "+p.quoted()+".format").Scan(&version)
	switch {
	case errors.Is(err, pgx.ErrNoRows) || err == nil && version < 1:
		return 0, &store.CorruptError{Offset: -1, Err: fmt.Errorf("%s has no format version", p)}
	case err != nil:
		return 0, p.describe("read the format", err)
	case version > formatVersion:
		return 0, p.foreign(fmt.Sprintf("format version %d, newer than %d", version, formatVersion), "upgrade this software", store.ErrNewer)
	}
	return version, nil
}

// foreign returns the error of a place that holds something else.
func (p place) foreign(have, do string, kind error) error {
	return &Error{Place: p.String(), Problem: "it holds " + have, Do: do, Kind: kind}
}

// upgrade migrates within a transaction, alone.
func (p place) upgrade(ctx context.Context, tx pgx.Tx) error {
	if _, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock($1)", p.key("migrate")); err != nil {
		return err
	}
	have, err := p.format(ctx, tx) // another process may have been faster
	if err != nil {
		return err
	}
	if have > 0 && have < formatVersion {
		if err := p.alone(ctx, tx); err != nil {
			return err
		}
	}
	for v := have + 1; v <= formatVersion; v++ {
		if err := p.step(ctx, tx, v); err != nil {
			return fmt.Errorf("to format %d: %w", v, err)
		}
	}
	return nil
}

// alone makes sure that nobody has the store open while its format changes.
func (p place) alone(ctx context.Context, tx pgx.Tx) error {
	var free bool
	err := tx.QueryRow(ctx, "SELECT pg_try_advisory_xact_lock($1)", p.key("open")).Scan(&free)
	if err == nil && !free {
		return p.locked()
	}
	return err
}

// step makes format v out of format v-1.
func (p place) step(ctx context.Context, tx pgx.Tx, v int) error {
	text, err := migrations.ReadFile(fmt.Sprintf("migrations/%04d.sql", v))
	if err != nil {
		return err
	}
	note := "UPDATE {schema}.format SET version = %d"
	if v == 1 {
		if err := p.createSchema(ctx, tx); err != nil {
			return err
		}
		note = "INSERT INTO {schema}.format VALUES (%d)"
	}
	sql := string(text) + "\n;" + fmt.Sprintf(note, v)
	_, err = tx.Exec(ctx, strings.ReplaceAll(sql, "{schema}", p.quoted()), pgx.QueryExecModeSimpleProtocol)
	return err
}

// createSchema makes the schema unless somebody with more rights has done so.
func (p place) createSchema(ctx context.Context, tx pgx.Tx) error {
	var exists bool
	err := tx.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = $1)", p.schema).Scan(&exists)
	if err == nil && !exists {
		_, err = tx.Exec(ctx, "CREATE SCHEMA "+p.quoted())
	}
	return err
}

// identify returns what is the same as long as the store stays where it is:
// cluster, timeline, database and schema. It is empty if the role may not know.
func (p place) identify(ctx context.Context, conn *pgx.Conn) (id string) {
	err := conn.QueryRow(ctx, `SELECT concat_ws('/', (SELECT system_identifier FROM pg_control_system()),
			left(pg_walfile_name(pg_current_wal_lsn()), 8),
			(SELECT oid FROM pg_database WHERE datname = current_database()),
			(SELECT oid FROM pg_namespace WHERE nspname = $1))`, p.schema).Scan(&id)
	if err != nil {
		return ""
	}
	return id
}
