package boltstore_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/joinery-crdt/joinery/store"
	"github.com/joinery-crdt/joinery/store/boltstore"
	"go.etcd.io/bbolt"
)

func TestOpenCreatesPrivateDirectory(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "deep")
	s := open(t, dir)
	defer s.Close()
	for path, want := range map[string]fs.FileMode{dir: 0o700, fileIn(dir): 0o600} {
		info, err := os.Stat(path)
		if err != nil || info.Mode().Perm() != want {
			t.Errorf("%s has permissions %v, %v; want %v", path, info.Mode().Perm(), err, want)
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Errorf("the directory holds %v, %v; want joinery.db only", entries, err)
	}
}

func TestOpenCleansUp(t *testing.T) {
	dir := t.TempDir()
	left := fileIn(dir) + ".new-123"
	if err := os.WriteFile(left, []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := open(t, dir)
	defer s.Close()
	if _, err := os.Stat(left); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("what a killed Open left is still there: %v", err)
	}
}

func TestOpenLocked(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	_, err := boltstore.Open(dir, boltstore.Options{Timeout: 1})
	if e, ok := errors.AsType[*store.LockedError](err); !ok || e.Path != dir || !errors.Is(err, store.ErrLocked) {
		t.Errorf("second Open = %v, want a LockedError about %s", err, dir)
	}
	_, err = boltstore.Open(dir, boltstore.Options{Timeout: 1, ReadOnly: true})
	if !errors.Is(err, store.ErrLocked) {
		t.Errorf("second, read-only Open = %v, want ErrLocked", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	open(t, dir).Close()
}

func TestOpenForeign(t *testing.T) {
	text := strings.Repeat("Dear diary, ", 1000)
	tests := map[string]func(t *testing.T, dir string) error{
		"text":       func(_ *testing.T, dir string) error { return os.WriteFile(fileIn(dir), []byte(text), 0o600) },
		"short text": func(_ *testing.T, dir string) error { return os.WriteFile(fileIn(dir), []byte("hello"), 0o600) },
		"directory":  func(_ *testing.T, dir string) error { return os.Mkdir(fileIn(dir), 0o700) },
		"file for folder": func(_ *testing.T, dir string) error {
			return errors.Join(os.Remove(dir), os.WriteFile(dir, nil, 0o600))
		},
		"other program": func(_ *testing.T, dir string) error {
			return inBolt(dir, func(tx *bbolt.Tx) error {
				_, err := tx.CreateBucket([]byte("theirs"))
				return err
			})
		},
	}
	for name, prepare := range tests {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := prepare(t, dir); err != nil {
				t.Fatal(err)
			}
			_, err := boltstore.Open(dir, boltstore.Options{})
			if e, ok := errors.AsType[*store.ForeignError](err); !ok || e.Path != dir || !errors.Is(err, store.ErrForeign) {
				t.Errorf("Open = %v, want a ForeignError about %s", err, dir)
			}
		})
	}
}

// inBolt changes the file of a closed store behind its back.
func inBolt(dir string, fn func(*bbolt.Tx) error) error {
	db, err := bbolt.Open(fileIn(dir), 0o600, nil)
	if err != nil {
		return err
	}
	return errors.Join(db.Update(fn), db.Close())
}

// setFormat replaces the record of the format's version.
func setFormat(t *testing.T, dir string, record []byte) {
	t.Helper()
	err := inBolt(dir, func(tx *bbolt.Tx) error {
		return tx.Bucket([]byte("joinery")).Put([]byte("format"), record)
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestOpenNewerFormat(t *testing.T) {
	dir := writeSamples(t)
	setFormat(t, dir, boltstore.FormatRecord(2))
	_, err := boltstore.Open(dir, boltstore.Options{})
	if e, ok := errors.AsType[*store.ForeignError](err); !ok || !errors.Is(err, store.ErrNewer) || !strings.Contains(e.Error(), "upgrade") {
		t.Errorf("Open of a newer format = %v, want ErrNewer and what to do", err)
	}
	setFormat(t, dir, boltstore.FormatRecord(1))
	open(t, dir).Close()
}

func TestOpenDamagedFormat(t *testing.T) {
	dir := writeSamples(t)
	for _, record := range [][]byte{nil, {0, 0, 0, 1}, {0, 0, 0, 1, 0, 0, 0, 0}, boltstore.FormatRecord(0)} {
		setFormat(t, dir, record)
		_, err := boltstore.Open(dir, boltstore.Options{})
		if _, ok := errors.AsType[*store.CorruptError](err); !ok {
			t.Errorf("Open with format record %x = %v, want a CorruptError", record, err)
		}
	}
}

func TestOpenDamagedHeader(t *testing.T) {
	page := os.Getpagesize()
	dir := writeSamples(t)
	for _, offset := range []int{16, 16 + 40, page + 16, page + 16 + 48, page + 16 + 56} {
		flip(t, dir, offset, 0x04)
		_, err := boltstore.Open(dir, boltstore.Options{})
		if e, ok := errors.AsType[*store.CorruptError](err); !ok || e.Offset != int64(offset/page*page) {
			t.Errorf("byte %d damaged: Open = %v, want a CorruptError at page %d", offset, err, offset/page)
		}
		flip(t, dir, offset, 0x04)
	}
	open(t, dir).Close()
}

func TestOpenCutOff(t *testing.T) {
	whole := content(t, writeSamples(t))
	for _, size := range []int{1, 100, 5000, 8192, 20000, 50000} {
		dir := t.TempDir()
		if err := os.WriteFile(fileIn(dir), whole[:size], 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := boltstore.Open(dir, boltstore.Options{}); err == nil || !isDamage(err) {
			t.Errorf("cut to %d bytes: Open = %v, want an error about damage", size, err)
		}
	}
}

func TestReadOnly(t *testing.T) {
	if _, err := boltstore.Open(t.TempDir(), boltstore.Options{ReadOnly: true}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("read-only Open of nothing = %v, want fs.ErrNotExist", err)
	}
	dir := writeSamples(t)
	before := content(t, dir)
	var stores []*boltstore.Store
	for range 2 {
		s, err := boltstore.Open(dir, boltstore.Options{ReadOnly: true})
		if err != nil {
			t.Fatal(err)
		}
		stores = append(stores, s)
	}
	for _, s := range stores {
		err := s.Update(t.Context(), func(store.Tx) error { return nil })
		if !errors.Is(err, store.ErrReadOnly) {
			t.Errorf("Update = %v, want ErrReadOnly", err)
		}
		if err := errors.Join(s.View(t.Context(), getSamples), s.Close()); err != nil {
			t.Error(err)
		}
	}
	if string(before) != string(content(t, dir)) {
		t.Error("a read-only store changed its file")
	}
}
