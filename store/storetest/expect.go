package storetest

import (
	"errors"
	"fmt"

	"github.com/joinery-crdt/joinery/store"
)

// wantIn demands the value of a key in a transaction.
func wantIn(r store.Reader, space string, t store.Table, key, value string) error {
	got, err := r.Get(space, t, []byte(key))
	if err != nil || string(got) != value {
		return fmt.Errorf("Get(%q, %d, %s) = %s, %v; want %s", space, t, short(key), short(string(got)), err, short(value))
	}
	return nil
}

// wantAbsentIn demands that a transaction has no such key.
func wantAbsentIn(r store.Reader, space string, t store.Table, key string) error {
	if got, err := r.Get(space, t, []byte(key)); !errors.Is(err, store.ErrNotFound) {
		return fmt.Errorf("Get(%q, %d, %s) = %s, %v; want ErrNotFound", space, t, short(key), short(string(got)), err)
	}
	return nil
}

// wantError demands an error of a kind.
func wantError(what string, err, kind error) error {
	if !errors.Is(err, kind) {
		return fmt.Errorf("%s = %v, want %v", what, err, kind)
	}
	return nil
}

// wantLimit demands a LimitError about what.
func wantLimit(call string, err error, what string) error {
	if e, ok := errors.AsType[*store.LimitError](err); !ok || e.What != what {
		return fmt.Errorf("%s = %v, want a LimitError about the %s", call, err, what)
	}
	return nil
}

// wantKeys demands the keys of a scan.
func wantKeys(r store.Reader, space string, t store.Table, rg store.Range, want ...string) error {
	var got []string
	for rec, err := range r.Scan(space, t, rg) {
		if err != nil {
			return fmt.Errorf("Scan(%q, %d, %q): %w", space, t, rg, err)
		}
		got = append(got, string(rec.Key))
	}
	return wantList(fmt.Sprintf("Scan(%q, %d, %q)", space, t, rg), got, want)
}

// wantSpaces demands the names of the spaces.
func wantSpaces(r store.Reader, want ...string) error {
	var got []string
	for name, err := range r.Spaces() {
		if err != nil {
			return fmt.Errorf("in Spaces: %w", err)
		}
		got = append(got, name)
	}
	return wantList("Spaces", got, want)
}

// wantList demands equal lists.
func wantList(what string, got, want []string) error {
	for i := range max(len(got), len(want)) {
		if i >= len(got) || i >= len(want) || got[i] != want[i] {
			return fmt.Errorf("%s: item %d of %d is %s, want %s of %d", what, i, len(got), item(got, i), item(want, i), len(want))
		}
	}
	return nil
}

// item quotes an item of a list, or says that there is none.
func item(list []string, i int) string {
	if i < len(list) {
		return short(list[i])
	}
	return "none"
}

// first returns the first of errs that is not nil.
func first(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// short quotes s and cuts it to a readable length.
func short(s string) string {
	if len(s) <= 40 {
		return fmt.Sprintf("%q", s)
	}
	return fmt.Sprintf("%q… (%d bytes)", s[:40], len(s))
}
