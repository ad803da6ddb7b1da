package main_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	v1 "github.com/joinery-crdt/joinery/cmd/syncd/internal/v1"
	"github.com/joinery-crdt/joinery/store/memstore"
	"github.com/joinery-crdt/joinery/sync/node"
)

// fromAhead returns a drop file of the space "s" with one change of a device
// whose clock is ahead, and the change.
func fromAhead(t *testing.T, ahead time.Duration) (file, change string) {
	t.Helper()
	n, err := node.Open(t.Context(), node.Config{Store: memstore.New(), Now: func() time.Time { return time.Now().Add(ahead) }})
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	if err := n.Space("s").Update(t.Context(), func(tx *node.Tx) error { return node.PNCounter("k").Add(tx, 1) }); err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if _, err := n.Space("s").Export(t.Context(), &b, node.Cut{}); err != nil {
		t.Fatal(err)
	}
	file = filepath.Join(t.TempDir(), "s.drop")
	if err := os.WriteFile(file, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return file, n.Origin().String() + "/1"
}

func TestQuarantineOnTheCommandLine(t *testing.T) {
	d := serve(t, filepath.Join(t.TempDir(), "a"))
	at := func(args ...string) result { t.Helper(); return syncd(t, append(args, "--dir", d.dir)...) }
	if r := at("quarantine"); r.code != 0 || r.stdout != "nothing is in quarantine\n" {
		t.Errorf("quarantine of nothing: %+v", r)
	}
	file, change := fromAhead(t, time.Hour)
	if r := at("import", file); r.code != 5 {
		t.Fatalf("import: %+v", r)
	}
	for _, args := range [][]string{{"quarantine"}, {"quarantine", "list"}} {
		if r := at(args...); r.code != 0 || !containsAll(r.stdout, []string{"s " + change + " (future): ", "from a file at ", "set the clock"}) {
			t.Errorf("%q: %+v", args, r)
		}
	}
	var list v1.Quarantine
	if r := at("quarantine", "list", "--json"); json.Unmarshal([]byte(r.stdout), &list) != nil || len(list.Quarantine) != 1 {
		t.Errorf("quarantine list --json: %+v", r)
	}
	if r := at("explain", "s", change); r.code != 0 || !containsAll(r.stdout, []string{"a ", "here", "refused", "it is in quarantine"}) {
		t.Errorf("explain: %+v", r)
	}
	for _, c := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"quarantine", "retry", "s", change}, 5, "set the clock"},
		{[]string{"quarantine", "retry", "other", change}, 4, "see: syncd quarantine list"},
		{[]string{"quarantine", "retry", "s", "1"}, 2, "origin/number"},
		{[]string{"quarantine", "retry", "s"}, 2, "syncd quarantine retry --help"},
		{[]string{"quarantine", "drop", "", change}, 2, "is empty"},
		{[]string{"quarantine", "lose"}, 2, "syncd quarantine --help"},
		{[]string{"explain", "s", change + "0x"}, 2, "origin/number"},
		{[]string{"explain", "s"}, 2, "syncd explain --help"},
	} {
		if r := at(c.args...); r.code != c.code || !strings.Contains(r.stderr, c.says) {
			t.Errorf("%q: %+v, want code %d and %q", c.args, r, c.code, c.says)
		}
	}
	if r := at("quarantine", "drop", "s", change); r.code != 0 || r.stdout != change+" is dropped\n" {
		t.Errorf("quarantine drop: %+v", r)
	}
	if r := at("quarantine", "drop", "s", change); r.code != 4 {
		t.Errorf("the second drop: %+v", r)
	}
}

func TestExplainOnTheCommandLine(t *testing.T) {
	a, b := serve(t, filepath.Join(t.TempDir(), "a")), serve(t, filepath.Join(t.TempDir(), "b"))
	change := strings.TrimPrefix(strings.TrimSpace(ok(t, "add", "s", "k", "x", "--dir", a.dir)), "change ")
	ok(t, "peers", "add", b.base, "--dir", a.dir)
	until(t, "the change is explained as applied on both", func() bool {
		var got v1.Explained
		if err := json.Unmarshal([]byte(ok(t, "explain", "s", change, "--json", "--dir", a.dir)), &got); err != nil {
			t.Fatal(err)
		}
		w := got.Whereabouts
		return len(w) == 2 && w[0].State == "applied" && w[1].State == "applied" && w[1].Name == "b"
	})
	b.kill(t)
	until(t, "the peer is explained as unreachable", func() bool {
		return containsAll(ok(t, "explain", "s", change, "--dir", a.dir), []string{"here", "applied", b.base[len("http://"):], "unreachable"})
	})
}
