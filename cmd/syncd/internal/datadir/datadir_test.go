package datadir_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/joinery-crdt/joinery/cmd/syncd/internal/datadir"
)

func TestDefault(t *testing.T) {
	data := t.TempDir()
	t.Setenv("XDG_DATA_HOME", data)
	if got, err := datadir.At(""); err != nil || string(got) != filepath.Join(data, "joinery") {
		t.Errorf("At(\"\") = %s, %v", got, err)
	}
	t.Setenv("XDG_DATA_HOME", "relative") // must be ignored, says its specification
	if got, err := datadir.At(""); err != nil || !filepath.IsAbs(string(got)) || filepath.Base(string(got)) != "joinery" {
		t.Errorf("with a relative XDG_DATA_HOME At(\"\") = %s, %v", got, err)
	}
	if got, err := datadir.At("x"); err != nil || !filepath.IsAbs(string(got)) || filepath.Base(string(got)) != "x" {
		t.Errorf("At(x) = %s, %v", got, err)
	}
}

func TestPrepare(t *testing.T) {
	d := datadir.Dir(filepath.Join(t.TempDir(), "a", "b"))
	if err := d.Prepare(); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(string(d)); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("%v, %v, want it for its owner only", info.Mode(), err)
	}
	if err := os.Mkdir(d.Store(), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(datadir.WriteFile(d.Peers(), nil), d.SetAddress("http://x"), d.Prepare()); err != nil {
		t.Errorf("Prepare of a used directory: %v", err)
	}
	write(t, filepath.Join(string(d), "peers.json.new")) // a crash left it
	if err := d.Prepare(); err != nil {
		t.Errorf("Prepare after a crash: %v", err)
	}
}

func write(t *testing.T, path string) {
	t.Helper()
	if err := os.WriteFile(path, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestPrepareRefusesWhatIsNotItsOwn(t *testing.T) {
	for _, name := range []string{"letter.txt", "store", ".config"} {
		d := datadir.Dir(t.TempDir())
		write(t, filepath.Join(string(d), name))
		err := d.Prepare()
		if e, ok := errors.AsType[*datadir.ForeignError](err); !ok || e.Found != name || !errors.Is(err, datadir.ErrForeign) {
			t.Errorf("Prepare beside %s = %v, want a ForeignError", name, err)
		}
	}
	file := filepath.Join(t.TempDir(), "file")
	write(t, file)
	if err := datadir.Dir(file).Prepare(); err == nil {
		t.Error("Prepare of a file succeeds")
	}
}

func TestAddress(t *testing.T) {
	d := datadir.Dir(t.TempDir())
	if _, err := d.Address(); !errors.Is(err, datadir.ErrNotRunning) {
		t.Errorf("Address of an empty directory: %v", err)
	}
	if err := d.SetAddress("http://127.0.0.1:1"); err != nil {
		t.Fatal(err)
	}
	if got, err := d.Address(); err != nil || got != "http://127.0.0.1:1" {
		t.Errorf("Address = %q, %v", got, err)
	}
	d.ClearAddress()
	if _, err := d.Address(); !errors.Is(err, datadir.ErrNotRunning) {
		t.Errorf("Address after ClearAddress: %v", err)
	}
}

func TestWriteFileReplacesWhole(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	for _, content := range []string{"a long first content", "short", ""} {
		if err := datadir.WriteFile(path, []byte(content)); err != nil {
			t.Fatal(err)
		}
		if b, err := os.ReadFile(path); err != nil || string(b) != content {
			t.Errorf("%q, %v, want %q", b, err, content)
		}
	}
	if left, err := os.ReadDir(filepath.Dir(path)); err != nil || len(left) != 1 {
		t.Errorf("%v, %v: something was left", left, err)
	}
}
