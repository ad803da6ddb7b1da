package boltstore_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/joinery-crdt/joinery/store"
	"github.com/joinery-crdt/joinery/store/boltstore"
)

// examine calls Doctor, which must not fail.
func examine(t testing.TB, dir string) *boltstore.Report {
	t.Helper()
	r, err := boltstore.Doctor(t.Context(), dir, boltstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestDoctorOfSoundStore(t *testing.T) {
	dir := writeSamples(t)
	s := open(t, dir)
	big := s.Update(t.Context(), func(tx store.Tx) error { return tx.Put("c", store.Log, []byte("big"), make([]byte, 300_000)) })
	freed := s.Update(t.Context(), func(tx store.Tx) error { return tx.Put("c", store.Log, []byte("big"), make([]byte, 1)) })
	st := s.Stats()
	if err := errors.Join(big, freed, s.Close()); err != nil {
		t.Fatal(err)
	}
	before := content(t, dir)
	r := examine(t, dir)
	want := []boltstore.SpaceReport{{Name: "a", Records: 150}, {Name: "b", Records: 150}, {Name: "c", Records: 1, Bytes: 4}}
	for k, v := range samples() {
		want[k[0]-'a'].Bytes += int64(len(k[2:]) + len(v))
	}
	if !slices.Equal(r.Spaces, want) || !r.Sound() || len(r.Damage) != 0 {
		t.Errorf("Doctor = %+v, want spaces %+v and no damage", r, want)
	}
	if r.FileBytes != int64(len(before)) || r.FreeBytes != st.FreeBytes || r.LostBytes != 0 {
		t.Errorf("Doctor finds %d bytes, %d free, %d lost; want %d, %d, 0", r.FileBytes, r.FreeBytes, r.LostBytes, len(before), st.FreeBytes)
	}
	if !bytes.Equal(before, content(t, dir)) {
		t.Error("Doctor changed the file")
	}
	if got := r.String(); !strings.Contains(got, `space "c": 1 records, 4 bytes`) {
		t.Errorf("String = %q", got)
	}
}

// TestDoctorNamesDamage damages a record: Doctor says where it is, and reads
// on.
func TestDoctorNamesDamage(t *testing.T) {
	dir := writeSamples(t)
	var offsets []int
	for _, part := range []string{"value-0070-xxxx", "value-0120-xxxx", "other-0003"} {
		offset := bytes.LastIndex(content(t, dir), []byte(part))
		flip(t, dir, offset, 0x10)
		offsets = append(offsets, offset)
	}
	r := examine(t, dir)
	if r.Damaged != len(offsets) || len(r.Damage) != len(offsets) || r.Sound() {
		t.Fatalf("Doctor finds %d, %v; want the %d records", r.Damaged, r.Damage, len(offsets))
	}
	for i, d := range r.Damage {
		key := []string{"key-0070", "key-0120", "key-0003"}[i]
		if page := int64(os.Getpagesize()); string(d.Key) != key || d.Offset/page != int64(offsets[i])/page {
			t.Errorf("Doctor finds damage of %q at %d, want %s on the page of %d", d.Key, d.Offset, key, offsets[i])
		}
	}
	if got := r.Spaces[0].Records; got != 148 {
		t.Errorf("Doctor finds %d sound records in space a, want 148", got)
	}
}

// TestDoctorFindsWhatReadersFind flips bits all over the file. What a reader
// stumbles over, and what hides from one, is in the report.
func TestDoctorFindsWhatReadersFind(t *testing.T) {
	dir := writeSamples(t)
	used := len(bytes.TrimRight(content(t, dir), "\x00"))
	rng := rand.New(rand.NewPCG(3, 1))
	found := 0
	for range 250 {
		offset, bits := rng.IntN(used), byte(1)<<rng.IntN(8)
		flip(t, dir, offset, bits)
		r := examine(t, dir)
		damaged := content(t, dir)
		err := readDamaged(t, dir)
		if err != nil && r.Sound() {
			t.Errorf("byte %d ^ %#x: a reader gets %v, Doctor finds nothing", offset, bits, err)
		}
		if !r.Sound() {
			found++
		}
		restore(t, dir, damaged)
		flip(t, dir, offset, bits)
	}
	if found < 50 {
		t.Errorf("Doctor found %d of 250 flips, want more", found)
	}
	if r := examine(t, dir); !r.Sound() {
		t.Errorf("Doctor of the mended file: %v", r)
	}
}

// restore gives the file the content it had.
func restore(t testing.TB, dir string, b []byte) {
	t.Helper()
	if err := os.WriteFile(fileIn(dir), b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestDoctorOfStructure damages what has no checksum.
func TestDoctorOfStructure(t *testing.T) {
	dir := writeSamples(t)
	sound := content(t, dir)
	swapRecords(t, dir)
	if r := examine(t, dir); r.Damaged != 1 || !strings.Contains(r.String(), "order") {
		t.Errorf("Doctor of two records that were swapped: %v", r)
	}
	list := freeList(sound)
	use := bytes.LastIndex(sound, []byte("\x01key-0070value-0070")) / os.Getpagesize()
	binary.NativeEndian.PutUint64(sound[list+16:], uint64(use))
	restore(t, dir, sound)
	if r := examine(t, dir); r.Damaged != 1 || !strings.Contains(r.String(), fmt.Sprintf("two uses: page %d", use)) {
		t.Errorf("Doctor of a list of free pages with page %d, which is in use: %v", use, r)
	}
}

func TestDoctorOfCutFile(t *testing.T) {
	dir := writeSamples(t)
	whole := content(t, dir)
	for _, size := range []int{3 * os.Getpagesize(), 5*os.Getpagesize() + 7, len(bytes.TrimRight(whole, "\x00")) / 2} {
		restore(t, dir, whole[:size])
		if r := examine(t, dir); r.Sound() {
			t.Errorf("cut to %d bytes: Doctor finds nothing", size)
		}
	}
}

// TestDoctorNamesTheFirst damages more records than a Report names.
func TestDoctorNamesTheFirst(t *testing.T) {
	dir := writeSamples(t)
	for i := range 150 {
		flip(t, dir, bytes.LastIndex(content(t, dir), fmt.Appendf(nil, "other-%04d", i)), 1)
	}
	r := examine(t, dir)
	if r.Damaged != 150 || len(r.Damage) != 100 || !strings.Contains(r.String(), "and 50 more") {
		t.Errorf("Doctor finds %d and names %d, want 150 and 100", r.Damaged, len(r.Damage))
	}
}

func TestDoctorRefuses(t *testing.T) {
	if _, err := boltstore.Doctor(t.Context(), t.TempDir(), boltstore.Options{}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Doctor of nothing = %v, want fs.ErrNotExist", err)
	}
	dir := writeSamples(t)
	s := open(t, dir)
	if _, err := boltstore.Doctor(t.Context(), dir, boltstore.Options{Timeout: 1}); !errors.Is(err, store.ErrLocked) {
		t.Errorf("Doctor of an open store = %v, want ErrLocked", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := boltstore.Doctor(ctx, dir, boltstore.Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("Doctor with a context done = %v, want context.Canceled", err)
	}
	setFormat(t, dir, boltstore.FormatRecord(2))
	if _, err := boltstore.Doctor(t.Context(), dir, boltstore.Options{}); !errors.Is(err, store.ErrNewer) {
		t.Errorf("Doctor of a newer format = %v, want ErrNewer", err)
	}
	restore(t, dir, []byte("Dear diary"))
	if _, err := boltstore.Doctor(t.Context(), dir, boltstore.Options{}); !errors.Is(err, store.ErrForeign) {
		t.Errorf("Doctor of a text = %v, want ErrForeign", err)
	}
}

// TestDoctorOfCycle makes a branch point to itself, on which readers that trust
// the file do not end.
func TestDoctorOfCycle(t *testing.T) {
	dir := writeSamples(t)
	file, page := content(t, dir), os.Getpagesize()
	for id := 2; id < len(file)/page; id++ {
		p := file[id*page:]
		if flags, child := binary.NativeEndian.Uint16(p[8:]), binary.NativeEndian.Uint64(p[24:]); flags == 1 && child != 0 {
			binary.NativeEndian.PutUint64(p[24:], uint64(id))
		}
	}
	restore(t, dir, file)
	if r := examine(t, dir); r.Sound() {
		t.Error("Doctor finds nothing")
	}
}

// FuzzDoctor examines files that were edited: each four bytes are a place and
// what is there instead. A file in which it finds nothing can be read.
func FuzzDoctor(f *testing.F) {
	dir := f.TempDir()
	s := open(f, dir)
	err := s.Update(f.Context(), func(tx store.Tx) error {
		return errors.Join(put(tx, "k"), tx.Put("b", store.Log, []byte("big"), make([]byte, 9000)))
	})
	if err := errors.Join(err, s.Close()); err != nil {
		f.Fatal(err)
	}
	whole, page := content(f, dir), os.Getpagesize()
	whole = whole[:len(bytes.TrimRight(whole, "\x00"))/page*page+page]
	for i := range len(whole) / page {
		f.Add(binary.BigEndian.AppendUint32(nil, uint32(i*page+8)<<8|3))
	}
	f.Fuzz(func(t *testing.T, edits []byte) {
		file := bytes.Clone(whole)
		for ; len(edits) >= 4; edits = edits[4:] {
			e := binary.BigEndian.Uint32(edits)
			file[int(e>>8)%len(file)] = byte(e)
		}
		restore(t, dir, file)
		r, err := boltstore.Doctor(t.Context(), dir, boltstore.Options{})
		if err != nil || !r.Sound() {
			return
		}
		s, err := boltstore.Open(dir, boltstore.Options{ReadOnly: true})
		if err != nil {
			t.Fatalf("Doctor finds nothing, Open: %v", err)
		}
		if err := errors.Join(s.Check(t.Context()), s.Close()); err != nil {
			t.Fatalf("Doctor finds nothing, Check: %v", err)
		}
	})
}
