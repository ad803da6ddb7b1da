package pgstore_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/joinery-crdt/joinery/store"
	"github.com/joinery-crdt/joinery/store/pgstore"
)

// TestLongKeys uses keys that no index of the server takes, and that differ
// only behind what it has of them.
func TestLongKeys(t *testing.T) {
	s := open(t, pgstore.Options{Schema: schema(t)})
	defer s.Close()
	rng := rand.NewChaCha8([32]byte{1})
	stem := make([]byte, store.MaxKey)
	if _, err := rng.Read(stem); err != nil {
		t.Fatal(err)
	}
	var keys [][]byte
	for _, n := range []int{1999, 2000, 2001, 2002, 5000, store.MaxKey} {
		low, high := bytes.Clone(stem[:n]), bytes.Clone(stem[:n])
		low[n-1], high[n-1] = 0, 0xFF
		keys = append(keys, stem[:n], low, high)
	}
	put := func(keys [][]byte, value string) error {
		return s.Update(t.Context(), func(tx store.Tx) error {
			for _, k := range keys {
				if err := tx.Put("a", store.Cells, k, []byte(value)); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := errors.Join(put(keys, "1"), put(keys[5:], "2")); err != nil {
		t.Fatal(err)
	}
	err := s.Update(t.Context(), func(tx store.Tx) error { return tx.Delete("a", store.Cells, keys[4]) })
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{}
	for i, k := range keys {
		want[string(k)] = map[bool]string{false: "1", true: "2"}[i >= 5]
	}
	delete(want, string(keys[4]))
	err = s.View(t.Context(), func(r store.Reader) error {
		for k, v := range want {
			if got, err := r.Get("a", store.Cells, []byte(k)); err != nil || string(got) != v {
				t.Errorf("Get of a key of %d bytes = %q, %v; want %q", len(k), got, err, v)
			}
		}
		var got [][]byte
		for rec, err := range r.Scan("a", store.Cells, store.Range{Prefix: stem[:1998]}) {
			if err != nil {
				return err
			}
			got = append(got, rec.Key)
		}
		if len(got) != len(want) || !slices.IsSortedFunc(got, bytes.Compare) {
			t.Errorf("Scan yields %d keys, want %d in order", len(got), len(want))
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// TestLargePages scans values that together are larger than a page.
func TestLargePages(t *testing.T) {
	s := open(t, pgstore.Options{Schema: schema(t)})
	defer s.Close()
	const n, size = 40, 300 << 10
	err := s.Update(t.Context(), func(tx store.Tx) error {
		for i := range n {
			if err := tx.Put("a", store.Log, fmt.Appendf(nil, "%02d", i), make([]byte, size)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	err = s.View(t.Context(), func(r store.Reader) error {
		for rec, err := range r.Scan("a", store.Log, store.Range{}) {
			if err != nil || string(rec.Key) != fmt.Sprintf("%02d", found) || len(rec.Value) != size {
				t.Fatalf("record %d is %q with %d bytes, %v", found, rec.Key, len(rec.Value), err)
			}
			found++
		}
		return nil
	})
	if err != nil || found != n {
		t.Errorf("Scan yields %d records, %v; want %d", found, err, n)
	}
	entries, err := s.Since(t.Context(), "a", 0, n)
	if err != nil || len(entries) == 0 || len(entries) >= n {
		t.Errorf("Since returns %d large entries, %v; want some of %d", len(entries), err, n)
	}
}

func TestUnknownTable(t *testing.T) {
	s := open(t, pgstore.Options{Schema: schema(t)})
	defer s.Close()
	err := s.Update(t.Context(), func(tx store.Tx) error {
		if _, err := tx.Get("a", 99, nil); !errors.Is(err, pgstore.ErrTable) {
			t.Errorf("Get from table 99 = %v, want ErrTable", err)
		}
		for _, err := range tx.Scan("a", 0, store.Range{}) {
			if !errors.Is(err, pgstore.ErrTable) {
				t.Errorf("Scan of table 0 = %v, want ErrTable", err)
			}
		}
		return tx.Put("a", 99, nil, nil)
	})
	if !errors.Is(err, pgstore.ErrTable) {
		t.Errorf("an Update that puts into table 99 = %v, want ErrTable", err)
	}
}

// TestDamagedRecord changes a record behind the store's back.
func TestDamagedRecord(t *testing.T) {
	name := schema(t)
	s := open(t, pgstore.Options{Schema: name})
	defer s.Close()
	if err := put(t, s, "k", nothing); err != nil {
		t.Fatal(err)
	}
	for _, change := range []string{"value = 'x'", "value = 'v', key = 'l'", "key = 'k', space = 'b'"} {
		run(t, "UPDATE "+pgx.Identifier{name}.Sanitize()+".log SET "+change)
		var found []error
		err := s.View(t.Context(), func(r store.Reader) error {
			for _, space := range []string{"a", "b"} {
				for _, err := range r.Scan(space, store.Log, store.Range{}) {
					found = append(found, err)
				}
			}
			return nil
		})
		if err != nil || len(found) != 1 {
			t.Fatalf("after %s: %v, %v", change, found, err)
		}
		if e, ok := errors.AsType[*store.CorruptError](found[0]); !ok || e.Table != store.Log {
			t.Errorf("after %s: Scan = %v, want a CorruptError", change, found[0])
		}
	}
	if _, err := s.Since(t.Context(), "b", 0, 10); err == nil {
		t.Error("Since returned a damaged record")
	}
	if err := put(t, s, "other", nothing); err != nil {
		t.Errorf("an Update beside the damage = %v", err)
	}
}

// TestPositions replaces and deletes records of the log.
func TestPositions(t *testing.T) {
	s := open(t, pgstore.Options{Schema: schema(t)})
	defer s.Close()
	change := func(fn func(tx store.Tx) error) {
		t.Helper()
		if err := s.Update(t.Context(), fn); err != nil {
			t.Fatal(err)
		}
	}
	set := func(keys ...string) func(store.Tx) error {
		return func(tx store.Tx) error {
			for _, k := range keys {
				if err := tx.Put("a", store.Log, []byte(k), []byte(k)); err != nil {
					return err
				}
			}
			return tx.Put("b", store.Log, []byte("other"), nil)
		}
	}
	change(set("z", "b"))
	change(set("a"))
	change(set("z"))
	change(func(tx store.Tx) error { return tx.Delete("a", store.Log, []byte("a")) })
	change(set("c"))
	entries, err := s.Since(t.Context(), "a", 0, 10)
	var got []string
	for _, e := range entries {
		got = append(got, fmt.Sprintf("%d=%s", e.Position, e.Value))
	}
	if want := []string{"1=b", "4=z", "5=c"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("Since = %v, %v; want %v", got, err, want)
	}
	if head, err := s.Head(t.Context(), "none"); head != 0 || err != nil {
		t.Errorf("Head of a space without records = %d, %v; want 0", head, err)
	}
}

// TestWait wakes a reader of another process.
func TestWait(t *testing.T) {
	opts := pgstore.Options{Schema: schema(t), Shared: true, Poll: time.Hour}
	writer, reader := open(t, opts), open(t, opts)
	defer writer.Close()
	for i := range int64(5) {
		woken := make(chan error, 1)
		go func() {
			head, err := reader.Wait(t.Context(), "a", i)
			if err == nil && head != i+1 {
				err = fmt.Errorf("Wait = %d, want %d", head, i+1)
			}
			woken <- err
		}()
		if err := put(t, writer, fmt.Sprint(i), nothing); err != nil {
			t.Fatal(err)
		}
		if err := <-woken; err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := reader.Wait(ctx, "a", 100); !errors.Is(err, context.Canceled) {
		t.Errorf("Wait whose context ended = %v", err)
	}
	closed := make(chan error, 1)
	go func() {
		_, err := reader.Wait(t.Context(), "a", 100)
		closed <- err
	}()
	if err := reader.Close(); err != nil {
		t.Error(err)
	}
	if err := <-closed; !errors.Is(err, store.ErrClosed) {
		t.Errorf("Wait on a store that was closed = %v, want ErrClosed", err)
	}
}

// TestCellView queries with SQL.
func TestCellView(t *testing.T) {
	name := schema(t)
	s := open(t, pgstore.Options{Schema: name, Describe: func(space string, key, state []byte) *pgstore.Description {
		if key[0] != 'd' {
			return nil
		}
		return &pgstore.Description{Key: "title", Type: "lww", Element: json.RawMessage("[1]"), Value: state}
	}})
	defer s.Close()
	cells := [][2]string{
		{"described", `{"a":"\u00e9"}`},
		{"d/bad", `{"a":`},
		{"d/utf", "\"\xff\""},
		{"d/nul", `"\u0000"`},
		{"json", `[1,2]`},
		{"text", "plain"},
		{"bytes\x00", "\x00\xff"},
		{"empty", ""},
	}
	err := s.Update(t.Context(), func(tx store.Tx) error {
		for _, c := range cells {
			if err := tx.Put("notes", store.Cells, []byte(c[0]), []byte(c[1])); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	conn, err := pgx.Connect(t.Context(), server.URL())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	rows, err := conn.Query(t.Context(), "SELECT concat_ws(' ', space, key, type, element, value) FROM "+pgx.Identifier{name}.Sanitize()+".cell")
	if err != nil {
		t.Fatal(err)
	}
	got, err := pgx.CollectRows(rows, pgx.RowTo[string])
	slices.Sort(got)
	want := []string{
		`notes \x627974657300`, "notes d/bad", "notes d/nul", "notes d/utf", "notes empty",
		"notes json [1, 2]", "notes text", `notes title lww [1] {"a": "é"}`,
	}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("the view has %q, %v; want %q", got, err, want)
	}
}
