package storetest

import (
	"fmt"
	"slices"
	"strings"

	"github.com/joinery-crdt/joinery/store"
)

// spaces: many spaces and their listing.
var spaces = []named{
	{"SpacesAreListed", spacesListed},
	{"SpacesOddNames", spacesOddNames},
	{"SpacesWithinUpdate", spacesWithinUpdate},
	{"SpacesStopEarly", spacesStopEarly},
	{"ManySpaces", manySpaces},
}

func spacesListed(s *subject) error {
	list := func(want ...string) error {
		return s.view(func(r store.Reader) error { return wantSpaces(r, want...) })
	}
	del := func(space string, t store.Table) error {
		return s.update(func(tx store.Tx) error { return tx.Delete(space, t, []byte("k")) })
	}
	return first(
		list(),
		s.put("", store.Meta, "k", "v"), list(),
		s.put("b", store.Log, "k", "v"), list("b"),
		s.put("a", store.Cells, "k", "v"), s.put("a", store.Meta, "k", "v"), list("a", "b"),
		del("a", store.Cells), list("a", "b"),
		del("a", store.Meta), list("b"),
		del("c", store.Meta), list("b"),
		s.reopen(), list("b"),
		s.put("a", store.Meta, "k", "v"), list("a", "b"),
		s.want("", store.Meta, "k", "v"),
	)
}

func spacesOddNames(s *subject) error {
	names := []string{"\x00", "a", "a\x00", "a\x00b", "a\x01", "a\x01\x01", "ab", "aa", "\xff", "\xff\xff", "日本", strings.Repeat("z", store.MaxSpace), strings.Repeat("\xff", store.MaxSpace)}
	for _, name := range names {
		if err := s.put(name, store.Cells, "k", name, "", name); err != nil {
			return err
		}
	}
	slices.Sort(names)
	return s.view(func(r store.Reader) error {
		for _, name := range names {
			err := first(wantIn(r, name, store.Cells, "k", name), wantKeys(r, name, store.Cells, store.Range{}, "", "k"))
			if err != nil {
				return err
			}
		}
		return wantSpaces(r, names...)
	})
}

func spacesWithinUpdate(s *subject) error {
	if err := first(s.put("a", store.Cells, "k", "v"), s.put("c", store.Cells, "k", "v", "l", "v")); err != nil {
		return err
	}
	del := func(tx store.Tx, space, key string) error { return tx.Delete(space, store.Cells, []byte(key)) }
	err := s.update(func(tx store.Tx) error {
		return first(
			putAll(tx, "b", store.Log, "k", "v"), wantSpaces(tx, "a", "b", "c"),
			del(tx, "a", "k"), wantSpaces(tx, "b", "c"),
			del(tx, "c", "k"), wantSpaces(tx, "b", "c"),
			del(tx, "c", "l"), del(tx, "d", "k"), wantSpaces(tx, "b"),
			putAll(tx, "", store.Meta, "k", "v"), wantSpaces(tx, "b"),
			putAll(tx, "c", store.Once, "k", "v"), wantSpaces(tx, "b", "c"),
		)
	})
	return first(err, s.view(func(r store.Reader) error { return wantSpaces(r, "b", "c") }))
}

func spacesStopEarly(s *subject) error {
	if err := first(s.put("a", store.Cells, "k", "v"), s.put("b", store.Cells, "k", "v")); err != nil {
		return err
	}
	stop := func(r store.Reader) error {
		for name, err := range r.Spaces() {
			if err != nil || name != "a" {
				return fmt.Errorf("first space is %q, %v", name, err)
			}
			break
		}
		return nil
	}
	return first(s.view(stop), s.update(func(tx store.Tx) error {
		return first(putAll(tx, "c", store.Cells, "k", "v"), stop(tx))
	}))
}

func manySpaces(s *subject) error {
	var names []string
	err := s.update(func(tx store.Tx) error {
		for i := range 300 {
			name := fmt.Sprintf("space-%03d", i)
			names = append(names, name)
			if err := putAll(tx, name, store.Cells, "k", name); err != nil {
				return err
			}
		}
		return nil
	})
	if err := first(err, s.reopen()); err != nil {
		return err
	}
	return s.view(func(r store.Reader) error {
		for _, name := range names {
			if err := wantIn(r, name, store.Cells, "k", name); err != nil {
				return err
			}
		}
		return wantSpaces(r, names...)
	})
}
