package pgstore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/joinery-crdt/joinery/store"
	"github.com/joinery-crdt/joinery/store/internal/turn"
)

// maxSchema is the longest name of a schema, in bytes: longer ones the server
// would cut.
const maxSchema = 63

// A place is a schema of a database on a server.
type place struct{ host, database, schema string }

// String names the place.
func (p place) String() string {
	return fmt.Sprintf("database %q on %s, schema %q", p.database, p.host, p.schema)
}

// key returns the number of a lock of this place; use says which.
func (p place) key(use string) int64 {
	h := fnv.New64a()
	h.Write([]byte("joinery " + use + " " + p.schema))
	return int64(h.Sum64())
}

// channel is the name under which processes wake each other.
func (p place) channel() string { return fmt.Sprintf("joinery_%016x", uint64(p.key("wake"))) }

// Open opens the store in a database, which must exist, and creates the store
// if there is none. conn is a connection string, a URL or a list of key=value,
// as libpq's programs take it; the usual PG* variables fill its gaps. ctx bounds
// Open only.
//
// Its errors are [*Error] of the kinds store.ErrLocked if another process has
// the store, store.ErrForeign if the schema holds something else,
// store.ErrNewer, ErrUnsupported if the server cannot keep the contract, and
// ErrUnavailable.
func Open(ctx context.Context, conn string, opts Options) (*Store, error) {
	cfg, p, err := configure(conn, &opts)
	if err != nil {
		return nil, err
	}
	s := &Store{place: p, opts: opts, sql: newStatements(p.schema), queue: turn.NewQueue[group](), known: map[string]bool{}, done: make(chan struct{})}
	s.writer = writer{s: s, cfg: cfg.ConnConfig, id: uuid.New()}
	s.keeper, s.notifier = keeper{s: s, cfg: cfg.ConnConfig}, notifier{s: s, wake: make(chan struct{}, 1)}
	if err := s.adopt(ctx, cfg); err != nil {
		return nil, err
	}
	if s.pool, err = pgxpool.NewWithConfig(context.WithoutCancel(ctx), cfg); err != nil {
		return nil, errors.Join(p.describe("pool", err), s.keeper.stop())
	}
	if opts.ReadOnly {
		close(s.done)
		return s, nil
	}
	go s.commitAll()
	s.notifier.start()
	return s, nil
}

// configure reads the connection string and completes the options.
func configure(conn string, opts *Options) (*pgxpool.Config, place, error) {
	opts.Schema = cmp.Or(opts.Schema, "joinery")
	opts.Timeout = cmp.Or(opts.Timeout, 30*time.Second)
	opts.LockTimeout = cmp.Or(opts.LockTimeout, time.Second)
	opts.Views = cmp.Or(opts.Views, 16)
	opts.Poll = cmp.Or(opts.Poll, 2*time.Second)
	p := place{schema: opts.Schema}
	cfg, err := pgxpool.ParseConfig(conn)
	if err != nil {
		return nil, p, &Error{Place: "connection string", Problem: "cannot be read", Do: "write postgres://user@host/database", Kind: ErrUnsupported, Err: err}
	}
	p.host, p.database = cfg.ConnConfig.Host, cmp.Or(cfg.ConnConfig.Database, cfg.ConnConfig.User)
	if len(p.schema) > maxSchema || strings.ContainsRune(p.schema, 0) || strings.HasPrefix(p.schema, "pg_") {
		return nil, p, &Error{Place: p.String(), Problem: "a schema cannot have this name", Do: fmt.Sprintf("choose one of at most %d bytes that does not begin with pg_", maxSchema), Kind: ErrUnsupported}
	}
	cfg.MaxConns = int32(min(opts.Views, 10_000)) + 1 // one for wake-ups
	cfg.MaxConnIdleTime = 5 * time.Minute
	tune(cfg.ConnConfig, opts.Timeout)
	return cfg, p, nil
}

// tune sets what every connection needs. Statements here read by index: the
// planner has nothing to choose.
func tune(cfg *pgx.ConnConfig, timeout time.Duration) {
	if cfg.ConnectTimeout == 0 || cfg.ConnectTimeout > timeout {
		cfg.ConnectTimeout = timeout
	}
	for name, value := range map[string]string{
		"enable_seqscan": "off", "enable_bitmapscan": "off", "jit": "off", "plan_cache_mode": "force_generic_plan",
		"idle_in_transaction_session_timeout": "0", "application_name": "joinery",
		"default_transaction_isolation": "read committed",
	} {
		if _, set := cfg.RuntimeParams[name]; !set {
			cfg.RuntimeParams[name] = value
		}
	}
}

// adopt makes sure that the place holds a store of this version and that this
// process may write to it.
func (s *Store) adopt(ctx context.Context, cfg *pgxpool.Config) error {
	ctx, cancel := context.WithTimeout(ctx, s.opts.Timeout)
	defer cancel()
	conn, err := s.connect(ctx, cfg.ConnConfig)
	if err != nil {
		return s.place.describe("connect", err)
	}
	s.keeper.conn = conn
	err = s.place.migrate(ctx, conn, s.opts.ReadOnly)
	if err == nil {
		err = s.keeper.lock(ctx)
	}
	if err == nil && !s.opts.ReadOnly {
		err = s.enroll(ctx, conn)
		s.identity = s.place.identify(ctx, conn)
	}
	if err != nil {
		abandon(conn)
		return err
	}
	s.keeper.start()
	return nil
}

// connect returns a connection to a server that can keep the contract.
func (s *Store) connect(ctx context.Context, cfg *pgx.ConnConfig) (*pgx.Conn, error) {
	conn, err := pgx.ConnectConfig(ctx, cfg)
	if err != nil {
		return nil, err
	}
	have, err := readSettings(ctx, conn)
	if err == nil {
		err = have.check(s.place, s.opts.ReadOnly)
	}
	if err != nil {
		abandon(conn)
		return nil, err
	}
	return conn, nil
}

// abandon ends a connection, which may be broken, without waiting for long.
func abandon(conn *pgx.Conn) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = conn.Close(ctx) // the server learns of it sooner or later
}

// enroll notes this process as one that writes, and ends those that may not any
// more: the lock is ours.
func (s *Store) enroll(ctx context.Context, conn *pgx.Conn) error {
	batch := &pgx.Batch{}
	batch.Queue(s.sql.expel, !s.opts.Shared)
	batch.Queue(s.sql.forget)
	batch.Queue(s.sql.enroll, s.writer.id, !s.opts.Shared)
	return s.place.describe("enroll", conn.SendBatch(ctx, batch).Close())
}

var errReadOnly = fmt.Errorf("pgstore: %w", store.ErrReadOnly)
