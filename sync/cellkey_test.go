package sync_test

import (
	"bytes"
	"cmp"
	"errors"
	"strings"
	"testing"

	crdtsync "github.com/joinery-crdt/joinery/sync"
)

// awkward are names that meet the escapes of stored keys.
var awkward = []string{"a", "ab", "b", "\x00", "\x00\x00", "a\x00", "a\x00\x01", "a\x00\xff", "\x01", "\x00\x01b", "é"}

func storedKey(t testing.TB, k crdtsync.CellKey) []byte {
	t.Helper()
	b, err := k.AppendBinary(nil)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// checkKeys compares the order of two keys with the order of what is stored, and
// reads them back.
func checkKeys(t *testing.T, a, b crdtsync.CellKey) {
	t.Helper()
	storedA, storedB := storedKey(t, a), storedKey(t, b)
	if got, want := bytes.Compare(storedA, storedB), a.Compare(b); got != want {
		t.Fatalf("%q and %q compare %d, stored %d", a, b, want, got)
	}
	if got, want := a.Compare(b), cmp.Or(cmp.Compare(a.Object, b.Object), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Element, b.Element)); got != want {
		t.Fatalf("%q and %q compare %d, want %d", a, b, got, want)
	}
	if got, err := crdtsync.ParseCellKey(storedA); err != nil || got != a {
		t.Fatalf("%q came back as %q, %v", a, got, err)
	}
	for what, same := range map[string][2]bool{
		"object prefix": {bytes.HasPrefix(storedB, crdtsync.ObjectPrefix(nil, a.Object)), a.Object == b.Object},
		"kind prefix":   {bytes.HasPrefix(storedB, crdtsync.KindPrefix(a.Object, a.Kind)), a.Object == b.Object && a.Kind == b.Kind},
	} {
		if same[0] != same[1] {
			t.Fatalf("the %s of %q is one of %q: %v, want %v", what, a, b, same[0], same[1])
		}
	}
}

func TestCellKeys(t *testing.T) {
	var keys []crdtsync.CellKey
	for _, object := range awkward {
		for _, kind := range awkward[:6] {
			keys = append(keys, crdtsync.CellKey{Object: object, Kind: kind}, crdtsync.CellKey{Object: object, Kind: kind, Element: "\x00\x01"})
		}
	}
	for _, a := range keys {
		for _, b := range keys {
			checkKeys(t, a, b)
		}
	}
}

func TestParseCellKeyRefuses(t *testing.T) {
	for _, b := range []string{"", "object", "object\x00", "object\x00\x01", "object\x00\x01kind", "object\x00\x01kind\x00\xff", "\x00\x00\x01kind\x00\x01", "a\x00b\x00\x01kind\x00\x01"} {
		if k, err := crdtsync.ParseCellKey([]byte(b)); !errors.Is(err, crdtsync.ErrName) {
			t.Errorf("ParseCellKey(%q) = %q, %v; want ErrName", b, k, err)
		}
	}
}

func FuzzCellKey(f *testing.F) {
	f.Add("title", "lww", "", "tags", "orset", "\x61x")
	f.Add("a\x00", "k", "", "a", "k", "\x00")
	f.Fuzz(func(t *testing.T, object, kind, element, object2, kind2, element2 string) {
		checkKeys(t, crdtsync.CellKey{Object: object, Kind: kind, Element: element}, crdtsync.CellKey{Object: object2, Kind: kind2, Element: element2})
	})
}

// FuzzParseCellKey reads arbitrary stored keys. Those that are taken must be the
// stored form of what they are read as.
func FuzzParseCellKey(f *testing.F) {
	f.Add([]byte("object\x00\x01kind\x00\x01element"))
	f.Fuzz(func(t *testing.T, b []byte) {
		k, err := crdtsync.ParseCellKey(b)
		if err == nil && !bytes.Equal(storedKey(t, k), b) {
			t.Fatalf("ParseCellKey took %q as %q, whose stored form is %q", b, k, storedKey(t, k))
		}
	})
}

func TestCheckName(t *testing.T) {
	for name, good := range map[string]bool{
		"notes": true, strings.Repeat("n", 10): true, "": false, strings.Repeat("n", 11): false, "\xff": false, "nul\x00": true,
	} {
		err := crdtsync.CheckName("space", name, 10)
		if good != (err == nil) || err != nil && (!errors.Is(err, crdtsync.ErrName) || !strings.Contains(err.Error(), "space")) {
			t.Errorf("CheckName(%q) = %v", name, err)
		}
	}
}
