package daemon_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/joinery-crdt/joinery/cmd/syncd/internal/daemon"
	"github.com/joinery-crdt/joinery/cmd/syncd/internal/datadir"
	"github.com/joinery-crdt/joinery/internal/pgtest"
	"github.com/joinery-crdt/joinery/store"
	"github.com/joinery-crdt/joinery/sync/node"
)

// TestPostgres runs a daemon on a database, twice, and looks at it with SQL.
func TestPostgres(t *testing.T) {
	server, err := pgtest.Start(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer server.Stop()
	title, tags, likes := node.LWW[string]("title"), node.ORSet[string]("tags"), node.PNCounter("likes")
	var origins []string
	for round := range 2 {
		d, err := daemon.Open(t.Context(), daemon.Config{Dir: datadir.Dir(t.TempDir()), Listen: "127.0.0.1:0", Postgres: server.URL()})
		if err != nil {
			t.Fatal(err)
		}
		origins = append(origins, d.Node().Origin().String())
		_, again := daemon.Open(t.Context(), daemon.Config{Dir: datadir.Dir(t.TempDir()), Listen: "127.0.0.1:0", Postgres: server.URL()})
		if !errors.Is(again, store.ErrLocked) {
			t.Errorf("a second daemon on the database = %v, want ErrLocked", again)
		}
		err = d.Node().Space("notes").Update(t.Context(), func(tx *node.Tx) error {
			return errors.Join(title.Set(tx, []string{"Shopping", "Groceries"}[round]), tags.Add(tx, "home"), likes.Add(tx, 2))
		})
		if err := errors.Join(err, d.Close()); err != nil {
			t.Fatal(err)
		}
	}
	if origins[0] != origins[1] {
		t.Errorf("the origin changed from %s to %s", origins[0], origins[1])
	}
	conn, err := pgx.Connect(t.Context(), server.URL())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	rows, err := conn.Query(t.Context(), "SELECT concat_ws(' ', space, key, type, element, value) FROM joinery.cell ORDER BY key")
	if err != nil {
		t.Fatal(err)
	}
	got, err := pgx.CollectRows(rows, pgx.RowTo[string])
	want := []string{`notes likes pncounter 4`, `notes tags orset "home" true`, `notes title lww "Groceries"`}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("the view has %q, %v; want %q", got, err, want)
	}
}
