package storetest

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/joinery-crdt/joinery/store"
)

// scans: order, selection, and scans inside an Update.
var scans = []named{
	{"ScanOrder", scanOrder},
	{"ScanPrefix", scanPrefix},
	{"ScanAfter", scanAfter},
	{"ScanResumes", scanResumes},
	{"ScanStopsEarly", scanStopsEarly},
	{"ScanTwice", scanTwice},
	{"ScanNested", scanNested},
	{"ScanSeesOwnWrites", scanOwnWrites},
	{"ScanIgnoresWritesInItsLoop", scanWhileWriting},
	{"ScanYieldsValues", scanValues},
}

// sorted returns the odd keys in bytewise order.
func sorted() []string { return slices.Sorted(slices.Values(oddKeyList)) }

// fill puts the odd keys in an order that is not theirs.
func fill(s *subject) error {
	return s.update(func(tx store.Tx) error {
		for i := range oddKeyList {
			key := oddKeyList[i*7%len(oddKeyList)]
			if err := putAll(tx, "a", store.Cells, key, "v"); err != nil {
				return err
			}
		}
		return nil
	})
}

func scanOrder(s *subject) error {
	keys := sorted()
	check := func(r store.Reader) error { return wantKeys(r, "a", store.Cells, store.Range{}, keys...) }
	return first(
		s.view(func(r store.Reader) error { return wantKeys(r, "a", store.Cells, store.Range{}) }),
		fill(s), s.view(check),
		s.update(func(tx store.Tx) error { return check(tx) }),
		s.reopen(), s.view(check),
	)
}

// selected returns the keys of rg among keys.
func selected(keys []string, rg store.Range) []string {
	var out []string
	for _, k := range keys {
		if strings.HasPrefix(k, string(rg.Prefix)) && (rg.After == nil || k > string(rg.After)) {
			out = append(out, k)
		}
	}
	return out
}

func scanPrefix(s *subject) error {
	if err := fill(s); err != nil {
		return err
	}
	return s.view(func(r store.Reader) error {
		for _, prefix := range append(sorted(), "zzz", "a\x02", "\xff\xff\xff") {
			rg := store.Range{Prefix: []byte(prefix)}
			if err := wantKeys(r, "a", store.Cells, rg, selected(sorted(), rg)...); err != nil {
				return err
			}
		}
		return nil
	})
}

func scanAfter(s *subject) error {
	if err := fill(s); err != nil {
		return err
	}
	return s.view(func(r store.Reader) error {
		for _, after := range append(sorted(), "zzz", "a\x02", "\xff\xff\xff") {
			for _, prefix := range []string{"", "a", "a\x00", "\xff", "b"} {
				rg := store.Range{Prefix: []byte(prefix), After: []byte(after)}
				if err := wantKeys(r, "a", store.Cells, rg, selected(sorted(), rg)...); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

func scanResumes(s *subject) error {
	if err := fill(s); err != nil {
		return err
	}
	var got []string
	rg := store.Range{}
	for range oddKeyList {
		err := s.view(func(r store.Reader) error {
			for rec, err := range r.Scan("a", store.Cells, rg) {
				got = append(got, string(rec.Key))
				rg.After = append([]byte{}, rec.Key...)
				return err
			}
			return errors.New("a Scan after its last key yielded nothing")
		})
		if err != nil {
			return err
		}
	}
	return wantList("resumed scan", got, sorted())
}

func scanStopsEarly(s *subject) error {
	if err := fill(s); err != nil {
		return err
	}
	stop := func(r store.Reader) error {
		var got []string
		for rec, err := range r.Scan("a", store.Cells, store.Range{}) {
			if err != nil {
				return err
			}
			if got = append(got, string(rec.Key)); len(got) == 3 {
				break
			}
		}
		return first(wantList("scan of three", got, sorted()[:3]),
			wantKeys(r, "a", store.Cells, store.Range{}, sorted()...))
	}
	return first(s.view(stop), s.update(func(tx store.Tx) error {
		return first(putAll(tx, "a", store.Cells, "a", "new"), stop(tx))
	}))
}

func scanTwice(s *subject) error {
	if err := s.put("a", store.Cells, "1", "", "2", ""); err != nil {
		return err
	}
	return s.update(func(tx store.Tx) error {
		seq := tx.Scan("a", store.Cells, store.Range{})
		count := func() (n int) {
			for range seq {
				n++
			}
			return n
		}
		before := count()
		if err := putAll(tx, "a", store.Cells, "3", ""); err != nil {
			return err
		}
		if after := count(); before != 2 || after != 3 {
			return fmt.Errorf("two loops over one scan, a write between them: %d and %d records, want 2 and 3", before, after)
		}
		return nil
	})
}

func scanNested(s *subject) error {
	keys := []string{"1", "2", "3"}
	if err := s.put("a", store.Cells, "1", "", "2", "", "3", ""); err != nil {
		return err
	}
	nested := func(r store.Reader) error {
		var got []string
		for rec, err := range r.Scan("a", store.Cells, store.Range{}) {
			if err != nil {
				return err
			}
			got = append(got, string(rec.Key))
			err = first(wantKeys(r, "a", store.Cells, store.Range{}, keys...), wantIn(r, "a", store.Cells, "3", ""))
			if err != nil {
				return err
			}
		}
		return wantList("outer scan", got, keys)
	}
	return first(s.view(nested), s.update(func(tx store.Tx) error {
		return first(putAll(tx, "a", store.Cells, "2", ""), nested(tx))
	}))
}

func scanOwnWrites(s *subject) error {
	if err := s.put("a", store.Cells, "b", "old", "d", "old", "f", "old"); err != nil {
		return err
	}
	err := s.update(func(tx store.Tx) error {
		return first(
			putAll(tx, "a", store.Cells, "a", "new", "d", "new", "e", "new", "g", "new"),
			tx.Delete("a", store.Cells, []byte("b")),
			tx.Delete("a", store.Cells, []byte("c")),
			wantKeys(tx, "a", store.Cells, store.Range{}, "a", "d", "e", "f", "g"),
			wantKeys(tx, "a", store.Cells, store.Range{After: []byte("d")}, "e", "f", "g"),
			wantKeys(tx, "a", store.Cells, store.Range{Prefix: []byte("d")}, "d"),
			wantKeys(tx, "a", store.Cells, store.Range{Prefix: []byte("b")}),
			wantKeys(tx, "a", store.Log, store.Range{}),
			tx.Delete("a", store.Cells, []byte("g")),
			tx.Delete("a", store.Cells, []byte("f")),
			wantKeys(tx, "a", store.Cells, store.Range{}, "a", "d", "e"),
		)
	})
	return first(err, s.view(func(r store.Reader) error {
		return wantKeys(r, "a", store.Cells, store.Range{}, "a", "d", "e")
	}))
}

func scanWhileWriting(s *subject) error {
	if err := s.put("a", store.Cells, "b", "", "d", "", "f", ""); err != nil {
		return err
	}
	return s.update(func(tx store.Tx) error {
		for _, want := range [][]string{{"b", "d", "f"}, {"b+", "d+", "f+"}, {"b++", "d++", "f++"}} {
			var got []string
			for rec, err := range tx.Scan("a", store.Cells, store.Range{}) {
				if err != nil {
					return err
				}
				if got = append(got, string(rec.Key)); len(got) > len(want) {
					break
				}
				err = first(putAll(tx, "a", store.Cells, string(rec.Key)+"+", ""), tx.Delete("a", store.Cells, rec.Key))
				if err != nil {
					return err
				}
			}
			if err := wantList("Scan whose loop adds and removes keys", got, want); err != nil {
				return err
			}
		}
		return nil
	})
}

func scanValues(s *subject) error {
	want := []string{"a=1", "b=", "c=3"}
	check := func(r store.Reader) error {
		var got []string
		for rec, err := range r.Scan("a", store.Cells, store.Range{}) {
			if err != nil {
				return err
			}
			got = append(got, fmt.Sprintf("%s=%s", rec.Key, rec.Value))
		}
		return wantList("Scan", got, want)
	}
	return first(s.put("a", store.Cells, "a", "1", "b", "", "c", "0"), s.update(func(tx store.Tx) error {
		return first(putAll(tx, "a", store.Cells, "c", "3"), check(tx))
	}), s.view(check))
}
