package pgstore

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/joinery-crdt/joinery/store"
)

// minVersion is the oldest version of the server, as server_version_num.
const minVersion = 150000

// settings are what a server says of itself.
type settings struct {
	version           int
	encoding          string
	fsync             string
	synchronousCommit string
	standby           bool
}

const selectSettings = `SELECT current_setting('server_version_num')::int, current_setting('server_encoding'),
	current_setting('fsync'), current_setting('synchronous_commit'), pg_is_in_recovery()`

// readSettings asks the server.
func readSettings(ctx context.Context, conn *pgx.Conn) (s settings, err error) {
	err = conn.QueryRow(ctx, selectSettings).Scan(&s.version, &s.encoding, &s.fsync, &s.synchronousCommit, &s.standby)
	return s, err
}

// check returns an [*Error] if a store cannot keep its promises there.
func (s settings) check(p place, readOnly bool) error {
	refuse := func(problem, do string, kind error) error {
		return &Error{Place: p.String(), Problem: problem, Do: do, Kind: kind}
	}
	switch {
	case s.version < minVersion:
		return refuse(fmt.Sprintf("the server is PostgreSQL %d", s.version/10000), "use version 15 or newer", ErrUnsupported)
	case s.encoding != "UTF8":
		return refuse("the database has encoding "+s.encoding, "create one with ENCODING 'UTF8' TEMPLATE template0", ErrUnsupported)
	case readOnly:
		return nil
	case s.standby:
		return refuse("the server is a standby", "connect to the primary server, or open the store read-only", store.ErrReadOnly)
	case s.fsync != "on":
		return refuse("the server runs with fsync=off and would lose what it acknowledged", "set fsync = on in postgresql.conf", ErrUnsupported)
	case s.synchronousCommit == "off":
		return refuse("commits are acknowledged before they are durable (synchronous_commit=off)",
			"set it to on for the role or the database, or add synchronous_commit=on to the connection string", ErrUnsupported)
	}
	return nil
}
