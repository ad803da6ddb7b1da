package pgstore_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/joinery-crdt/joinery/store"
	"github.com/joinery-crdt/joinery/store/pgstore"
)

func TestOneProcessAtATime(t *testing.T) {
	opts := pgstore.Options{Schema: schema(t), LockTimeout: 50 * time.Millisecond}
	s := open(t, opts)
	shared := opts
	shared.Shared = true
	for name, o := range map[string]pgstore.Options{"second": opts, "shared": shared} {
		_, err := pgstore.Open(t.Context(), server.URL(), o)
		if e, ok := errors.AsType[*pgstore.Error](err); !errors.Is(err, store.ErrLocked) || !ok || !strings.Contains(e.Error(), opts.Schema) {
			t.Errorf("%s Open = %v, want ErrLocked with the place", name, err)
		}
	}
	reader := opts
	reader.ReadOnly = true
	r := open(t, reader)
	if err := r.Update(t.Context(), func(store.Tx) error { return nil }); !errors.Is(err, store.ErrReadOnly) {
		t.Errorf("Update of a read-only store = %v, want ErrReadOnly", err)
	}
	if err := increment(s, t, nothing); err != nil {
		t.Error(err)
	}
	wantCount(t, r, 1)
	if err := errors.Join(r.Close(), s.Close()); err != nil {
		t.Error(err)
	}
	a, b := open(t, shared), open(t, shared)
	if _, err := pgstore.Open(t.Context(), server.URL(), opts); !errors.Is(err, store.ErrLocked) {
		t.Errorf("Open of a store that is shared = %v, want ErrLocked", err)
	}
	if err := errors.Join(a.Close(), b.Close()); err != nil {
		t.Error(err)
	}
	again := open(t, opts)
	defer again.Close()
	wantCount(t, again, 1)
}

// TestLostLock lets another process open the store while the first one cannot
// defend it: the first one must notice before it writes.
func TestLostLock(t *testing.T) {
	opts := pgstore.Options{Schema: schema(t)}
	old := open(t, opts)
	if err := increment(old, t, nothing); err != nil {
		t.Fatal(err)
	}
	pgstore.LoseSession(old)
	now := open(t, opts)
	defer now.Close()
	if err := increment(now, t, nothing); err != nil {
		t.Fatal(err)
	}
	for i := range 2 {
		if err := put(t, old, "late", nothing); !errors.Is(err, store.ErrLocked) {
			t.Errorf("Update %d of a store that another process took = %v, want ErrLocked", i, err)
		}
	}
	wantCount(t, now, 2)
	if err := now.View(t.Context(), func(r store.Reader) error {
		_, err := r.Get("a", store.Log, []byte("late"))
		return err
	}); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a late record: %v, want ErrNotFound", err)
	}
	_ = old.Close()
}

// TestLostHistory takes acknowledged groups away, as a replica that lags does
// when it takes over.
func TestLostHistory(t *testing.T) {
	name := schema(t)
	s := open(t, pgstore.Options{Schema: name})
	for range 3 {
		if err := increment(s, t, nothing); err != nil {
			t.Fatal(err)
		}
	}
	run(t, "UPDATE "+pgx.Identifier{name}.Sanitize()+".writer SET groups = groups - 1")
	for i := range 2 {
		if err := increment(s, t, nothing); !errors.Is(err, store.ErrUncertain) {
			t.Errorf("Update %d on a server that lost a commit = %v, want ErrUncertain", i, err)
		}
	}
	_ = s.Close()
}

func TestSharedIncrements(t *testing.T) {
	const writers, rounds = 12, 15
	all := newStores(t, 3)
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for range rounds {
				if err := increment(all[w%len(all)], t, nothing); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	for _, s := range all {
		wantCount(t, s, writers*rounds)
	}
}

func TestConcurrentCreation(t *testing.T) {
	opts := pgstore.Options{Schema: schema(t), Shared: true}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			s, err := pgstore.Open(t.Context(), server.URL(), opts)
			if err != nil {
				t.Error(err)
				return
			}
			if err := errors.Join(increment(s, t, nothing), s.Close()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	s := open(t, opts)
	defer s.Close()
	wantCount(t, s, 8)
}

// TestOldFormat opens a store as format 1 left it.
func TestOldFormat(t *testing.T) {
	opts := pgstore.Options{Schema: schema(t)}
	s := open(t, opts)
	if err := errors.Join(increment(s, t, nothing), s.Close()); err != nil {
		t.Fatal(err)
	}
	run(t, strings.ReplaceAll("DROP TABLE {}.staging, {}.arrival, {}.quarantine; UPDATE {}.format SET version = 1", "{}", pgx.Identifier{opts.Schema}.Sanitize()))
	readOnly := opts
	readOnly.ReadOnly = true
	if _, err := pgstore.Open(t.Context(), server.URL(), readOnly); !errors.Is(err, store.ErrReadOnly) {
		t.Errorf("Open of an older format, read-only = %v, want ErrReadOnly", err)
	}
	s = open(t, opts)
	defer s.Close()
	wantCount(t, s, 1)
	err := s.Update(t.Context(), func(tx store.Tx) error { return tx.Put("a", store.Quarantine, []byte("k"), nil) })
	if err != nil {
		t.Errorf("Put into a table that format 1 lacks = %v", err)
	}
}

func TestForeignPlaces(t *testing.T) {
	quote := func(name string) string { return pgx.Identifier{name}.Sanitize() }
	newer, other, damaged, empty := schema(t), schema(t), schema(t), schema(t)
	for _, name := range []string{newer, damaged} {
		if err := open(t, pgstore.Options{Schema: name}).Close(); err != nil {
			t.Fatal(err)
		}
	}
	run(t, "UPDATE "+quote(newer)+".format SET version = 1000")
	run(t, "DELETE FROM "+quote(damaged)+".format")
	run(t, "CREATE SCHEMA "+quote(other)+"; CREATE TABLE "+quote(other)+".people (name text)")
	tests := []struct {
		name string
		opts pgstore.Options
		kind error
	}{
		{"newer", pgstore.Options{Schema: newer}, store.ErrNewer},
		{"other", pgstore.Options{Schema: other}, store.ErrForeign},
		{"absent", pgstore.Options{Schema: empty, ReadOnly: true}, fs.ErrNotExist},
		{"reserved", pgstore.Options{Schema: "pg_joinery"}, pgstore.ErrUnsupported},
		{"long", pgstore.Options{Schema: strings.Repeat("s", 64)}, pgstore.ErrUnsupported},
	}
	for _, tt := range tests {
		if _, err := pgstore.Open(t.Context(), server.URL(), tt.opts); !errors.Is(err, tt.kind) {
			t.Errorf("Open of a %s place = %v, want %v", tt.name, err, tt.kind)
		}
	}
	_, err := pgstore.Open(t.Context(), server.URL(), pgstore.Options{Schema: damaged})
	if _, ok := errors.AsType[*store.CorruptError](err); !ok {
		t.Errorf("Open of a place without a version = %v, want a CorruptError", err)
	}
	if _, err := pgstore.Open(t.Context(), "postgres://:::", pgstore.Options{}); !errors.Is(err, pgstore.ErrUnsupported) {
		t.Errorf("Open of no connection string = %v, want ErrUnsupported", err)
	}
	if err := open(t, pgstore.Options{Schema: empty}).Close(); err != nil {
		t.Errorf("Open of a place that was looked at = %v", err)
	}
}

func TestUnsupportedSettings(t *testing.T) {
	tests := []struct {
		version            int
		encoding           string
		fsync, synchronous string
		standby, readOnly  bool
		kind               error
		advice             string
	}{
		{150000, "UTF8", "on", "on", false, false, nil, ""},
		{170004, "UTF8", "on", "remote_apply", false, false, nil, ""},
		{140011, "UTF8", "on", "on", false, false, pgstore.ErrUnsupported, "15 or newer"},
		{150000, "LATIN1", "on", "on", false, false, pgstore.ErrUnsupported, "ENCODING 'UTF8'"},
		{150000, "UTF8", "off", "on", false, false, pgstore.ErrUnsupported, "fsync = on"},
		{150000, "UTF8", "on", "off", false, false, pgstore.ErrUnsupported, "synchronous_commit=on"},
		{150000, "UTF8", "on", "on", true, false, store.ErrReadOnly, "primary"},
		{150000, "UTF8", "off", "off", true, true, nil, ""},
	}
	for _, tt := range tests {
		err := pgstore.CheckSettings(tt.version, tt.encoding, tt.fsync, tt.synchronous, tt.standby, tt.readOnly)
		if !errors.Is(err, tt.kind) || err != nil && !strings.Contains(err.Error(), tt.advice) {
			t.Errorf("%+v: %v", tt, err)
		}
	}
}

func TestUnsupportedServer(t *testing.T) {
	run(t, "CREATE DATABASE ascii ENCODING 'SQL_ASCII' TEMPLATE template0")
	for _, url := range []string{
		server.URL() + "&synchronous_commit=off",
		strings.Replace(server.URL(), "/postgres?", "/ascii?", 1),
	} {
		if _, err := pgstore.Open(t.Context(), url, pgstore.Options{Schema: schema(t)}); !errors.Is(err, pgstore.ErrUnsupported) {
			t.Errorf("Open %s = %v, want ErrUnsupported", url, err)
		}
	}
	if _, err := pgstore.Open(t.Context(), strings.Replace(server.URL(), "/postgres?", "/none?", 1), pgstore.Options{}); !errors.Is(err, pgstore.ErrUnavailable) {
		t.Errorf("Open of a database that does not exist = %v, want ErrUnavailable", err)
	}
}

// TestPlace wants the place to stay over a reopening, and to differ between
// schemas and after a copy.
func TestPlace(t *testing.T) {
	one, two := pgstore.Options{Schema: schema(t)}, pgstore.Options{Schema: schema(t)}
	place := func(o pgstore.Options) string {
		s := open(t, o)
		defer s.Close()
		return store.Place(s)
	}
	first := place(one)
	if again := place(one); first == "" || again != first {
		t.Errorf("Place after reopening = %q, was %q", again, first)
	}
	if other := place(two); other == first {
		t.Errorf("Place of another schema = %q, too", other)
	}
	run(t, "DROP SCHEMA "+pgx.Identifier{one.Schema}.Sanitize()+" CASCADE")
	if copied := place(one); copied == first {
		t.Errorf("Place after the schema was made anew = %q, too", copied)
	}
}

// TestMinimalRole opens a store as a role that may do no more than it must.
func TestMinimalRole(t *testing.T) {
	name := schema(t)
	quoted := pgx.Identifier{name}.Sanitize()
	run(t, "CREATE ROLE plain LOGIN")
	t.Cleanup(func() { run(t, "DROP OWNED BY plain; DROP ROLE plain") })
	url := strings.Replace(server.URL(), "user=postgres", "user=plain", 1)
	if _, err := pgstore.Open(t.Context(), url, pgstore.Options{Schema: name}); !errors.Is(err, pgstore.ErrUnsupported) {
		t.Errorf("Open without the right to create = %v, want ErrUnsupported", err)
	}
	run(t, "CREATE SCHEMA "+quoted+" AUTHORIZATION plain")
	s, err := pgstore.Open(t.Context(), url, pgstore.Options{Schema: name})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := increment(s, t, nothing); err != nil {
		t.Error(err)
	}
	wantCount(t, s, 1)
	if store.Place(s) == "" {
		t.Error("the role may not know the place")
	}
}

func ExampleOpen() {
	ctx := context.Background()
	s, err := pgstore.Open(ctx, server.URL(), pgstore.Options{Schema: "example"})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer s.Close()
	err = s.Update(ctx, func(tx store.Tx) error {
		return tx.Put("notes", store.Log, []byte("origin 1"), []byte("change"))
	})
	if err != nil {
		fmt.Println(err)
	}
	entries, err := s.Since(ctx, "notes", 0, 100)
	for _, e := range entries {
		fmt.Println(e.Position, string(e.Key), string(e.Value), err)
	}
	// Output: 1 origin 1 change <nil>
}
