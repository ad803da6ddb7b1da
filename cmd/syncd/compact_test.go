package main_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/joinery-crdt/joinery/cmd/syncd/internal/jsonvalue"
	v1 "github.com/joinery-crdt/joinery/cmd/syncd/internal/v1"
	"github.com/joinery-crdt/joinery/crdt"
)

func TestCompact(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a")
	d := serve(t, dir)
	large, err := crdt.EncodeValue(strings.Repeat("x", 100_000))
	if err != nil {
		t.Fatal(err)
	}
	for range 10 {
		if _, err := d.api.Do(t.Context(), "notes", v1.Op{Op: "set", Key: "title", Value: jsonvalue.Value(large)}); err != nil {
			t.Fatal(err)
		}
	}
	ok(t, "set", "notes", "title", "short", "--dir", dir)
	if r := syncd(t, "compact", "--dir", dir); r.code != 6 || !strings.Contains(r.stderr, "in use") {
		t.Errorf("compact of a directory in use: %d %s%s", r.code, r.stdout, r.stderr)
	}
	d.kill(t)
	info, err := os.Stat(filepath.Join(dir, "store", "joinery.db"))
	if err != nil {
		t.Fatal(err)
	}
	var report struct{ Before, After int64 }
	if err := json.Unmarshal([]byte(ok(t, "compact", "--json", "--dir", dir)), &report); err != nil || report.Before != info.Size() || report.After >= report.Before {
		t.Errorf("compact --json: %+v, %v, want fewer than %d bytes", report, err, info.Size())
	}
	if got := ok(t, "compact", "--dir", dir); !strings.Contains(got, "bytes before, ") {
		t.Errorf("compact: %s", got)
	}
	serve(t, dir)
	if got := ok(t, "get", "notes", "title", "--dir", dir); got != "short\n" {
		t.Errorf("after compact the title is %q", got)
	}
	empty := t.TempDir()
	if r := syncd(t, "compact", "--dir", empty); r.code == 0 {
		t.Error("compact of nothing succeeds")
	}
	if found, err := os.ReadDir(empty); err != nil || len(found) != 0 {
		t.Errorf("compact of nothing leaves %v, %v", found, err)
	}
}
