//go:build linux

package boltstore_test

import (
	"context"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"testing"

	"github.com/joinery-crdt/joinery/store"
	"github.com/joinery-crdt/joinery/store/boltstore"
)

// TestENOSPC lets the disk be full at each write of a workload once:
// the Updates are rejected, and the same store takes them once there is room.
func TestENOSPC(t *testing.T) {
	const steps = 16
	commits := runWorkload(t, ramDir(t), steps, nil)
	want := states(t, steps)
	dir := ramDir(t)
	for _, c := range commits {
		for n := 0; ; n++ {
			s := reopen(t, dir, c.before, nil)
			failed, named := failOnce(t, s, n, syscall.ENOSPC)
			err := commitSteps(t, s, c.first, c.end)
			if *failed && *named {
				if !errors.Is(err, store.ErrUncertain) {
					t.Errorf("steps %d to %d: Update whose header is half written = %v, want ErrUncertain", c.first, c.end, err)
				}
			} else if *failed {
				wantFull(t, s, err, want[c.first])
				err = commitSteps(t, s, c.first, c.end)
				if d, errRead := digestOf(t, s); err != nil || errRead != nil || d != want[c.end] {
					t.Errorf("steps %d to %d again, with room: %v, %v, state %d", c.first, c.end, err, errRead, slices.Index(want, d))
				}
			}
			if err := errors.Join(s.Close(), structure(dir)); err != nil {
				t.Errorf("steps %d to %d, write %d: %v", c.first, c.end, n, err)
			}
			if !*failed {
				break
			}
		}
	}
}

// failOnce fails the n-th write to the file of s. Every other failure comes when
// half is written. named reports whether that half was of a header.
func failOnce(t testing.TB, s *boltstore.Store, n int, cause error) (failed, named *bool) {
	failed, named = new(bool), new(bool)
	r := record(t, s)
	r.write = func(k int, write boltstore.WriteFunc, b []byte, offset int64) (int, error) {
		if k != n {
			return write(b, offset)
		}
		*failed = true
		if n%2 == 0 {
			return 0, &os.PathError{Op: "write", Path: "joinery.db", Err: cause}
		}
		*named = event{offset: offset, data: b}.header()
		half, err := write(b[:len(b)/2], offset)
		return half, errors.Join(err, &os.PathError{Op: "write", Path: "joinery.db", Err: cause})
	}
	return failed, named
}

// wantFull demands that err is that of a full disk and that s holds what it
// held before.
func wantFull(t testing.TB, s *boltstore.Store, err error, want digest) {
	t.Helper()
	if _, ok := errors.AsType[*store.FullError](err); !ok || errors.Is(err, store.ErrUncertain) {
		t.Errorf("Update on a full disk = %v, want a FullError that is certain", err)
	}
	if d, err := digestOf(t, s); err != nil || d != want {
		t.Errorf("after a rejected Update: %v, or its writes can be seen", err)
	}
}

func TestNearlyFullDisk(t *testing.T) {
	s, err := boltstore.Open(t.TempDir(), boltstore.Options{MinFree: 1000})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	free := int64(5000)
	boltstore.SetDiskFree(s, func() int64 { return free })
	update := func(bytes int) (called bool, err error) {
		err = s.Update(t.Context(), func(tx store.Tx) error {
			called = true
			return tx.Put("a", store.Cells, []byte("k"), make([]byte, bytes))
		})
		return called, err
	}
	if _, err := update(100); err != nil {
		t.Fatal(err)
	}
	called, err := update(6000)
	if e, ok := errors.AsType[*store.FullError](err); !ok || !called || e.Free != 5000 || e.Need < 7000 {
		t.Errorf("Update of more than there is room for = %+v, function called: %v; want a FullError", err, called)
	}
	if _, err := update(200); err != nil {
		t.Errorf("a small Update after a large one: %v", err)
	}
	free = 999
	called, err = update(1)
	if e, ok := errors.AsType[*store.FullError](err); !ok || called || e.Free != 999 || e.Need != 1000 || !errors.Is(err, store.ErrReadOnly) {
		t.Errorf("Update on a nearly full disk = %+v, function called: %v; want a FullError, no", err, called)
	}
	if err := s.View(t.Context(), func(r store.Reader) error {
		v, err := r.Get("a", store.Cells, []byte("k"))
		if len(v) != 200 {
			t.Errorf("Get = %d bytes, want the newest 200", len(v))
		}
		return err
	}); err != nil {
		t.Errorf("View on a nearly full disk: %v", err)
	}
	free = 1100
	if _, err := update(0); err != nil {
		t.Errorf("Update with room again: %v", err)
	}
}

// fullDir replaces the limit on the size of files by a disk that is full.
var fullDir = flag.String("full.dir", "", "an empty `directory` on a disk of a few MiB, to fill")

// TestFullDisk fills a disk, or what a process may write to a file.
func TestFullDisk(t *testing.T) {
	dir := *fullDir
	limit := "0"
	if dir == "" {
		dir, limit = ramDir(t), "3000000"
	}
	out, err := process(t, "fill", dir, limit).CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Fatal(err)
	}
	s, err := openFull(dir)
	if err != nil {
		t.Fatal(err)
	}
	err = errors.Join(s.Check(t.Context()), s.Close(), structure(dir))
	if err != nil {
		t.Error(err)
	}
}

func init() { processes["fill"] = fill }

// fill is the process of TestFullDisk: it writes until nothing more goes, makes
// room, and goes on with the same store.
func fill(dir, limit string) error {
	s, err := openFull(dir)
	if err != nil {
		return err
	}
	makeRoom, err := narrow(dir, limit)
	if err != nil {
		return err
	}
	written, rejected, err := writeUntilFull(s)
	fmt.Printf("%d Updates, then: %v\n", written, rejected)
	if err != nil {
		return err
	}
	if err := makeRoom(); err != nil {
		return err
	}
	for i := range 10 {
		if err := fillStep(s, written+i); err != nil {
			return fmt.Errorf("with room again: %w", err)
		}
	}
	return errors.Join(wantFilled(s, written+10), s.Close())
}

// narrow takes room away: of what a file may have, or, for the limit 0, of the
// disk.
func narrow(dir, limit string) (makeRoom func() error, err error) {
	bytes, err := strconv.ParseUint(limit, 10, 64)
	if err != nil || bytes == 0 {
		name := filepath.Join(dir, "ballast")
		return func() error { return os.Remove(name) }, errors.Join(err, os.WriteFile(name, make([]byte, 1<<20), 0o600))
	}
	signal.Ignore(syscall.SIGXFSZ)
	var old syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &old); err != nil {
		return nil, err
	}
	return func() error { return syscall.Setrlimit(syscall.RLIMIT_FSIZE, &old) },
		syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: bytes, Max: old.Max})
}

// fillStep writes the i-th record.
func fillStep(s *boltstore.Store, i int) error {
	return s.Update(context.Background(), func(tx store.Tx) error {
		return tx.Put("a", store.Log, binary.BigEndian.AppendUint32(nil, uint32(i)), make([]byte, 10_000))
	})
}

// writeUntilFull writes records until one is rejected, and tries on a while.
func writeUntilFull(s *boltstore.Store) (written int, rejected, err error) {
	for rejected == nil {
		if rejected = fillStep(s, written); rejected == nil {
			written++
		}
	}
	for range 20 {
		again := fillStep(s, written)
		if _, ok := errors.AsType[*store.FullError](again); !ok {
			return written, rejected, fmt.Errorf("Update on a full disk = %w, want a FullError", again)
		}
	}
	return written, rejected, wantFilled(s, written)
}

// wantFilled demands the first n records and no other.
func wantFilled(s *boltstore.Store, n int) error {
	return s.View(context.Background(), func(r store.Reader) error {
		i := 0
		for rec, err := range r.Scan("a", store.Log, store.Range{}) {
			if err != nil {
				return err
			}
			if binary.BigEndian.Uint32(rec.Key) != uint32(i) {
				return fmt.Errorf("record %x in the place of %d", rec.Key, i)
			}
			i++
		}
		if i != n {
			return fmt.Errorf("%d records, want %d", i, n)
		}
		return nil
	})
}
