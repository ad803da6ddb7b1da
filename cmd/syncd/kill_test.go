package main_test

import (
	"io"
	"strings"
	"testing"
	"time"

	"github.com/joinery-crdt/joinery/cmd/syncd/internal/killtest"
	"github.com/joinery-crdt/joinery/internal/pgtest"
)

func TestKilltestFindsEverythingThere(t *testing.T) {
	r := run(t, "", environment(t), "killtest", "--kills", "10", "--writers", "4")
	if r.code != 0 || !strings.HasPrefix(r.stdout, "10 kills under load, ") {
		t.Fatalf("exit code %d\n%s%s", r.code, r.stdout, r.stderr)
	}
}

// TestKilledDatabaseUnderAHub is `syncd killtest --postgres`, short.
func TestKilledDatabaseUnderAHub(t *testing.T) {
	server, err := pgtest.Start(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer server.Stop()
	report, err := killtest.Run(t.Context(), killtest.Options{
		Program: program, Dir: t.TempDir(), Kills: 3, Writers: 4, Seed: 1, Uptime: 150 * time.Millisecond, Database: server,
	}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if report.Database != 3 || report.Acked < 3 {
		t.Errorf("%v; want 3 kills of the database, and writes", report)
	}
}

func TestKilltestRefusesNoKills(t *testing.T) {
	if r := run(t, "", environment(t), "killtest", "--kills", "0"); r.code == 0 || !strings.Contains(r.stderr, "must be positive") {
		t.Fatalf("exit code %d\n%s%s", r.code, r.stdout, r.stderr)
	}
}
