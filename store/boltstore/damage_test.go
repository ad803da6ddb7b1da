package boltstore_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/joinery-crdt/joinery/store"
	"github.com/joinery-crdt/joinery/store/boltstore"
)

// fileIn returns the path of a store's file.
func fileIn(dir string) string { return filepath.Join(dir, "joinery.db") }

// samples returns records of two spaces, by "space/key".
func samples() map[string]string {
	all := map[string]string{}
	for i := range 150 {
		all[fmt.Sprintf("a/key-%04d", i)] = fmt.Sprintf("value-%04d-%s", i, bytes.Repeat([]byte{'x'}, i))
		all[fmt.Sprintf("b/key-%04d", i)] = fmt.Sprintf("other-%04d", i)
	}
	return all
}

// writeSamples makes a store with the samples in a new directory.
func writeSamples(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	s := open(t, dir)
	err := s.Update(t.Context(), func(tx store.Tx) error {
		for k, v := range samples() {
			if err := tx.Put(k[:1], store.Cells, []byte(k[2:]), []byte(v)); err != nil {
				return err
			}
		}
		return nil
	})
	if err := errors.Join(err, s.Close()); err != nil {
		t.Fatal(err)
	}
	return dir
}

// flip inverts bits of the file at an offset.
func flip(t *testing.T, dir string, offset int, bits byte) {
	t.Helper()
	f, err := os.OpenFile(fileIn(dir), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 1)
	_, errRead := f.ReadAt(b, int64(offset))
	b[0] ^= bits
	_, errWrite := f.WriteAt(b, int64(offset))
	if err := errors.Join(errRead, errWrite, f.Close()); err != nil {
		t.Fatal(err)
	}
}

// content returns the bytes of the file.
func content(t testing.TB, dir string) []byte {
	t.Helper()
	b, err := os.ReadFile(fileIn(dir))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestFlippedBitInRecordIsReported(t *testing.T) {
	dir := writeSamples(t)
	file := content(t, dir)
	for _, part := range []string{"\x01key-0070value-0070-x", "value-0070-xxxx", "0070-xxxx", "0071value-0071"} {
		offset := bytes.LastIndex(file, []byte(part))
		if offset < 0 {
			t.Fatalf("no %q in the file", part)
		}
		flip(t, dir, offset+3, 0x10)
		s := open(t, dir)
		errGet := s.View(t.Context(), func(r store.Reader) error { return getSamples(r) })
		errScan := s.View(t.Context(), func(r store.Reader) error { return scanSamples(r) })
		errCheck := s.Check(t.Context())
		for call, err := range map[string]error{"Get": errGet, "Scan": errScan, "Check": errCheck} {
			if e, ok := errors.AsType[*store.CorruptError](err); !ok || e.Space != "a" || e.Table != store.Cells || e.Key == nil {
				t.Errorf("%q damaged: %s = %v, want a CorruptError that names the record", part, call, err)
			}
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		flip(t, dir, offset+3, 0x10)
	}
}

// getSamples returns an error unless each sample reads as itself.
func getSamples(r store.Reader) error {
	for k, v := range samples() {
		got, err := r.Get(k[:1], store.Cells, []byte(k[2:]))
		if err != nil {
			return fmt.Errorf("Get %s: %w", k, err)
		}
		if string(got) != v {
			return fmt.Errorf("Get %s = %q", k, got)
		}
	}
	return nil
}

// scanSamples returns an error unless scans yield all samples.
func scanSamples(r store.Reader) error {
	all, n := samples(), 0
	for _, space := range []string{"a", "b"} {
		for rec, err := range r.Scan(space, store.Cells, store.Range{}) {
			if err != nil {
				return fmt.Errorf("Scan: %w", err)
			}
			if all[space+"/"+string(rec.Key)] != string(rec.Value) {
				return fmt.Errorf("Scan yields %s/%s = %q", space, rec.Key, rec.Value)
			}
			n++
		}
	}
	if n != len(all) {
		return fmt.Errorf("Scan yields %d of %d: %w", n, len(all), store.ErrNotFound)
	}
	return nil
}

// TestFlippedBitInSpaceName damages the directory of spaces: a space must not
// seem empty.
func TestFlippedBitInSpaceName(t *testing.T) {
	dir := writeSamples(t)
	for space, bits := range map[string]byte{"a": 0x02, "b": 0x03} { // now above b, now below a
		offset := bytes.LastIndex(content(t, dir), boltstore.BucketName([]byte(space)))
		flip(t, dir, offset+1, bits)
		s := open(t, dir)
		err := s.View(t.Context(), func(r store.Reader) error {
			_, errGet := r.Get(space, store.Cells, []byte("key-0000"))
			var errScan, errSpaces error
			for _, errScan = range r.Scan(space, store.Cells, store.Range{}) {
				break
			}
			for _, errSpaces = range r.Spaces() {
				break
			}
			for call, err := range map[string]error{"Get": errGet, "Scan": errScan, "Spaces": errSpaces} {
				if err == nil || !isDamage(err) {
					t.Errorf("name of space %q damaged: %s = %v, want a CorruptError", space, call, err)
				}
			}
			return nil
		})
		if err := errors.Join(err, s.Close()); err != nil {
			t.Error(err)
		}
		flip(t, dir, offset+1, bits)
	}
}

// swapRecords puts two sound records of the samples into each other's places.
func swapRecords(t *testing.T, dir string) {
	t.Helper()
	const pageHead, element = 16, 16
	page := bytes.LastIndex(content(t, dir), []byte("\x01key-0070value-0070")) / os.Getpagesize() * os.Getpagesize()
	f, err := os.OpenFile(fileIn(dir), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	both := make([]byte, 2*element)
	_, errRead := f.ReadAt(both, int64(page+pageHead))
	both = append(both[element:], both[:element]...)
	// A record's place counts from its element.
	binary.NativeEndian.PutUint32(both[4:], binary.NativeEndian.Uint32(both[4:])+element)
	binary.NativeEndian.PutUint32(both[element+4:], binary.NativeEndian.Uint32(both[element+4:])-element)
	_, errWrite := f.WriteAt(both, int64(page+pageHead))
	if err := errors.Join(errRead, errWrite, f.Close()); err != nil {
		t.Fatal(err)
	}
}

func TestSwappedRecords(t *testing.T) {
	dir := writeSamples(t)
	swapRecords(t, dir)
	s := open(t, dir)
	defer s.Close()
	if err := s.View(t.Context(), scanSamples); err == nil || !isDamage(err) {
		t.Errorf("Scan of records out of order = %v, want a CorruptError", err)
	}
}

// TestBitFlip flips bits all over the file. A wrong value must
// never come out; a record may hide only behind one of the few bytes of
// structure that have no checksum.
func TestBitFlip(t *testing.T) {
	const flips = 250
	dir := writeSamples(t)
	used := len(bytes.TrimRight(content(t, dir), "\x00"))
	rng := rand.New(rand.NewPCG(1, 1))
	hidden := 0
	for range flips {
		offset, bits := rng.IntN(used), byte(1)<<rng.IntN(8)
		flip(t, dir, offset, bits)
		err := readDamaged(t, dir)
		flip(t, dir, offset, bits)
		if errors.Is(err, store.ErrNotFound) {
			hidden++
		} else if !isDamage(err) {
			t.Errorf("byte %d ^ %#x: %v", offset, bits, err)
		}
	}
	if hidden*100 > flips {
		t.Errorf("%d of %d flips hid a record, want at most 1 %%", hidden, flips)
	}
}

// readDamaged opens the store and reads everything.
func readDamaged(t *testing.T, dir string) error {
	s, err := boltstore.Open(dir, boltstore.Options{})
	if err != nil {
		return err
	}
	defer s.Close()
	return s.View(t.Context(), func(r store.Reader) error {
		errGet, errScan := getSamples(r), scanSamples(r)
		if isDamage(errGet) {
			return errScan
		}
		return errGet
	})
}

// isDamage reports whether err is nil or an error that names damage.
func isDamage(err error) bool {
	_, corrupt := errors.AsType[*store.CorruptError](err)
	_, foreign := errors.AsType[*store.ForeignError](err)
	return err == nil || corrupt || foreign
}

// TestWritesToDamagedFile writes all over damaged files: that may be refused,
// but must neither panic nor hang.
func TestWritesToDamagedFile(t *testing.T) {
	sound := content(t, writeSamples(t))
	used := len(bytes.TrimRight(sound, "\x00"))
	rng := rand.New(rand.NewPCG(2, 2))
	dir := t.TempDir()
	for range 60 {
		damaged := bytes.Clone(sound)
		damaged[rng.IntN(used)] ^= 1 << rng.IntN(8)
		if err := os.WriteFile(fileIn(dir), damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := boltstore.Open(dir, boltstore.Options{})
		if err != nil {
			continue
		}
		for range 3 {
			err := s.Update(t.Context(), rewriteSamples)
			if !isDamage(err) && !errors.Is(err, store.ErrUncertain) {
				t.Errorf("Update = %v", err)
			}
		}
		_ = s.Close() // a file that cannot be closed is one of the outcomes
	}
}

// rewriteSamples replaces some samples and deletes others.
func rewriteSamples(tx store.Tx) error {
	for k := range samples() {
		var err error
		if k[len(k)-1]%2 == 0 {
			err = tx.Put(k[:1], store.Cells, []byte(k[2:]), []byte("new"))
		} else {
			err = tx.Delete(k[:1], store.Cells, []byte(k[2:]))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// freeList returns the offset of the newest list of free pages in a file.
func freeList(file []byte) int {
	page, header := os.Getpagesize(), 0
	if binary.NativeEndian.Uint64(file[page+16+48:]) > binary.NativeEndian.Uint64(file[16+48:]) {
		header = page
	}
	return int(binary.NativeEndian.Uint64(file[header+16+32:])) * page
}

// TestDamagedFileIsNotKept damages the list of free pages, on which bbolt
// panics: the file must not stay locked.
func TestDamagedFileIsNotKept(t *testing.T) {
	dir := writeSamples(t)
	offset := freeList(content(t, dir)) + 8
	flip(t, dir, offset, 0x10)
	for range 2 {
		if s, err := boltstore.Open(dir, boltstore.Options{Timeout: 1}); err == nil || !isDamage(err) {
			t.Fatalf("Open with a damaged list of free pages = %v, %v, want a CorruptError", s, err)
		}
	}
	flip(t, dir, offset, 0x10)
	open(t, dir).Close()
}
