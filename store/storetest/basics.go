package storetest

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/joinery-crdt/joinery/store"
)

// basics: single keys.
var basics = []named{
	{"GetPutDelete", getPutDelete},
	{"OddKeys", oddKeys},
	{"EmptyValueIsNotAbsent", emptyValue},
	{"TablesAreApart", tablesAreApart},
	{"LargeValues", largeValues},
	{"ArgumentsAreNotRetained", notRetained},
	{"ResultsStayValid", resultsStayValid},
	{"UpdateSeesItsOwnWrites", ownWrites},
}

// oddKeyList is keys that careless encodings confuse.
var oddKeyList = []string{
	"", "\x00", "\x00\x00", "\x00\x01", "\x00\xff", "\x01", "\x7f", " ", "a", "a\x00", "a\x00b", "a\x01", "aa", "ab",
	"a\xff", "b", "ключ", "日本", "\xf0\x9f\x8c\x8d", "\xfe", "\xff", "\xff\x00", "\xff\xff",
	strings.Repeat("\xff", 300), strings.Repeat("k", store.MaxKey),
}

func getPutDelete(s *subject) error {
	del := func(key string) error {
		return s.update(func(tx store.Tx) error { return tx.Delete("a", store.Cells, []byte(key)) })
	}
	return first(
		s.wantAbsent("a", store.Cells, "k"),
		s.put("a", store.Cells, "k", "1"),
		s.want("a", store.Cells, "k", "1"),
		s.put("a", store.Cells, "k", "2"),
		s.want("a", store.Cells, "k", "2"),
		del("other"),
		s.want("a", store.Cells, "k", "2"),
		del("k"),
		s.wantAbsent("a", store.Cells, "k"),
		del("k"),
	)
}

func oddKeys(s *subject) error {
	for i, key := range oddKeyList {
		if err := s.put("a", store.Cells, key, fmt.Sprint(i)); err != nil {
			return err
		}
	}
	for i, key := range oddKeyList {
		if err := s.want("a", store.Cells, key, fmt.Sprint(i)); err != nil {
			return err
		}
	}
	for i, key := range oddKeyList {
		del := s.update(func(tx store.Tx) error { return tx.Delete("a", store.Cells, []byte(key)) })
		if err := first(del, s.wantAbsent("a", store.Cells, key)); err != nil {
			return err
		}
		for j, other := range oddKeyList[i+1:] {
			if err := s.want("a", store.Cells, other, fmt.Sprint(i+1+j)); err != nil {
				return fmt.Errorf("after Delete(%s): %w", short(key), err)
			}
		}
	}
	return nil
}

func emptyValue(s *subject) error {
	check := func(r store.Reader) error {
		return first(
			wantIn(r, "a", store.Cells, "empty", ""),
			wantIn(r, "a", store.Cells, "nil", ""),
			wantAbsentIn(r, "a", store.Cells, "none"),
			wantKeys(r, "a", store.Cells, store.Range{}, "empty", "nil"),
		)
	}
	err := s.update(func(tx store.Tx) error {
		return first(
			tx.Put("a", store.Cells, []byte("empty"), []byte{}),
			tx.Put("a", store.Cells, []byte("nil"), nil),
			check(tx),
		)
	})
	return first(err, s.view(check))
}

func tablesAreApart(s *subject) error {
	tables := []store.Table{
		store.Cells, store.Log, store.Vector, store.Acks, store.Once, store.Meta,
		store.Staging, store.Arrival, store.Quarantine,
	}
	names := []string{"", "a", "ab", "b"}
	value := func(name string, t store.Table) string { return fmt.Sprintf("%s/%d", name, t) }
	for _, name := range names {
		for _, t := range tables {
			if err := s.put(name, t, "k", value(name, t)); err != nil {
				return err
			}
		}
	}
	return s.view(func(r store.Reader) error {
		for _, name := range names {
			for _, t := range tables {
				err := first(wantIn(r, name, t, "k", value(name, t)), wantKeys(r, name, t, store.Range{}, "k"))
				if err != nil {
					return err
				}
			}
		}
		return nil
	})
}

func largeValues(s *subject) error {
	values := map[string]string{}
	for i, n := range []int{4<<10 - 1, 64 << 10, 1<<20 + 1, 5 << 20} {
		key := fmt.Sprint(i)
		values[key] = strings.Repeat(string(rune('a'+i)), n)
		if err := s.put("a", store.Cells, key, values[key]); err != nil {
			return err
		}
	}
	if err := s.reopen(); err != nil {
		return err
	}
	for key, value := range values {
		if err := s.want("a", store.Cells, key, value); err != nil {
			return err
		}
	}
	return s.view(func(r store.Reader) error {
		for rec, err := range r.Scan("a", store.Cells, store.Range{}) {
			if err != nil || string(rec.Value) != values[string(rec.Key)] {
				return fmt.Errorf("scan: key %q has %d bytes, %v; want %d", rec.Key, len(rec.Value), err, len(values[string(rec.Key)]))
			}
		}
		return nil
	})
}

func notRetained(s *subject) error {
	key, value := []byte("key"), []byte("value")
	spoil := func() { copy(key, "XXX"); copy(value, "XXXXX") }
	err := s.update(func(tx store.Tx) error {
		if err := tx.Put("a", store.Cells, key, value); err != nil {
			return err
		}
		if string(key) != "key" || string(value) != "value" {
			return fmt.Errorf("a Put changed its arguments to %q, %q", key, value)
		}
		spoil()
		return wantIn(tx, "a", store.Cells, "key", "value")
	})
	spoil()
	gone := []byte("gone")
	del := func(tx store.Tx) error {
		err := first(tx.Put("a", store.Cells, gone, nil), tx.Delete("a", store.Cells, gone))
		copy(gone, "keys")
		return err
	}
	return first(err, s.put("a", store.Cells, "keys", "kept"), s.update(del),
		s.want("a", store.Cells, "key", "value"), s.want("a", store.Cells, "keys", "kept"),
		s.wantAbsent("a", store.Cells, "gone"))
}

func resultsStayValid(s *subject) error {
	long := strings.Repeat("v", 300)
	if err := s.put("a", store.Cells, "k", long); err != nil {
		return err
	}
	return s.update(func(tx store.Tx) error {
		for round := range 3 {
			old, err := tx.Get("a", store.Cells, []byte("k"))
			if err != nil {
				return err
			}
			want := bytes.Clone(old)
			for i := range 100 {
				next := strings.Repeat(string(rune('a'+round)), 300)
				if err := putAll(tx, "a", store.Cells, "k", next, fmt.Sprint(round, i), next); err != nil {
					return err
				}
			}
			if _, err := tx.Get("a", store.Cells, []byte("k")); err != nil {
				return err
			}
			if !bytes.Equal(old, want) {
				return fmt.Errorf("a value from Get changed from %s to %s before the end of its transaction", short(string(want)), short(string(old)))
			}
		}
		return nil
	})
}

func ownWrites(s *subject) error {
	if err := s.put("a", store.Cells, "old", "1", "gone", "1"); err != nil {
		return err
	}
	return s.update(func(tx store.Tx) error {
		return first(
			putAll(tx, "a", store.Cells, "new", "2", "old", "2"),
			tx.Delete("a", store.Cells, []byte("gone")),
			wantIn(tx, "a", store.Cells, "new", "2"),
			wantIn(tx, "a", store.Cells, "old", "2"),
			wantAbsentIn(tx, "a", store.Cells, "gone"),
			tx.Delete("a", store.Cells, []byte("new")),
			wantAbsentIn(tx, "a", store.Cells, "new"),
			putAll(tx, "a", store.Cells, "gone", "3"),
			wantIn(tx, "a", store.Cells, "gone", "3"),
		)
	})
}
