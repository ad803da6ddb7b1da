package pgstore_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/joinery-crdt/joinery/internal/pgtest"
	"github.com/joinery-crdt/joinery/store"
	"github.com/joinery-crdt/joinery/store/faultstore"
	"github.com/joinery-crdt/joinery/store/pgstore"
	"github.com/joinery-crdt/joinery/store/storetest"
)

// server is what all tests share that do not harm theirs.
var server *pgtest.Server

func TestMain(m *testing.M) {
	os.Exit(withServer(m))
}

func withServer(m *testing.M) (code int) {
	var err error
	if server, err = pgtest.Start(nil); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() {
		if err := server.Stop(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}()
	return m.Run()
}

func TestConformance(t *testing.T) {
	storetest.Run(t, func(t *testing.T) storetest.Harness {
		opts := pgstore.Options{Schema: schema(t)}
		return storetest.Harness{Open: func(t *testing.T) store.Store { return open(t, opts) }}
	})
}

// TestConformanceUnderFaultstore lets every step wait, so that transactions meet
// in other ways.
func TestConformanceUnderFaultstore(t *testing.T) {
	storetest.Run(t, func(t *testing.T) storetest.Harness {
		opts := pgstore.Options{Schema: schema(t)}
		return storetest.Harness{Open: func(t *testing.T) store.Store {
			s := faultstore.Wrap(open(t, opts))
			s.Arm(faultstore.Slow)
			return s
		}}
	})
}

var schemas atomic.Int64

// schema returns the name of a new schema, which is dropped after the test.
func schema(t testing.TB) string {
	name := fmt.Sprintf("test %d", schemas.Add(1))
	t.Cleanup(func() { run(t, "DROP SCHEMA IF EXISTS "+pgx.Identifier{name}.Sanitize()+" CASCADE") })
	return name
}

// run runs statements on a connection of their own.
func run(t testing.TB, sql string) {
	t.Helper()
	ctx := context.Background() // a cleanup has no other
	conn, err := pgx.Connect(ctx, server.URL())
	if err == nil {
		_, err = conn.PgConn().Exec(ctx, sql).ReadAll()
		err = errors.Join(err, conn.Close(ctx))
	}
	if err != nil {
		t.Fatal(err)
	}
}

// open opens a store or fails the test.
func open(t testing.TB, opts pgstore.Options) *pgstore.Store {
	t.Helper()
	s, err := pgstore.Open(t.Context(), server.URL(), opts)
	if err != nil {
		t.Fatal(err)
	}
	return s
}
