package pgstore_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/joinery-crdt/joinery/store"
	"github.com/joinery-crdt/joinery/store/pgstore"
)

// increment adds one to a counter after what before does.
func increment(s store.Store, t *testing.T, before func()) error {
	return s.Update(t.Context(), func(tx store.Tx) error {
		n, err := count(tx)
		if err != nil {
			return err
		}
		before()
		return tx.Put("a", store.Cells, []byte("n"), fmt.Append(nil, n+1))
	})
}

// count reads the counter.
func count(r store.Reader) (n int, err error) {
	b, err := r.Get("a", store.Cells, []byte("n"))
	if errors.Is(err, store.ErrNotFound) {
		return 0, nil
	}
	if err == nil {
		_, err = fmt.Sscan(string(b), &n)
	}
	return n, err
}

// put writes one record without reading.
func put(t *testing.T, s store.Store, key string, before func()) error {
	return s.Update(t.Context(), func(tx store.Tx) error {
		before()
		return tx.Put("a", store.Log, []byte(key), []byte("v"))
	})
}

// wantCount demands the counter's value.
func wantCount(t *testing.T, s store.Store, want int) {
	t.Helper()
	err := s.View(t.Context(), func(r store.Reader) error {
		n, err := count(r)
		if err == nil && n != want {
			err = fmt.Errorf("the counter is %d, want %d", n, want)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// openVia opens a store through a proxy.
func openVia(t *testing.T, p *proxy, opts pgstore.Options) *pgstore.Store {
	t.Helper()
	s, err := pgstore.Open(t.Context(), p.URL(), opts)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func nothing() {}

// warmUp lets a connection prepare the statements, so that the next commit is
// one request.
func warmUp(t *testing.T, s store.Store) {
	t.Helper()
	if err := errors.Join(increment(s, t, nothing), put(t, s, "warm", nothing)); err != nil {
		t.Fatal(err)
	}
}

// create makes a store and returns its options with a short timeout.
func create(t *testing.T) pgstore.Options {
	t.Helper()
	opts := pgstore.Options{Schema: schema(t)}
	if err := open(t, opts).Close(); err != nil {
		t.Fatal(err)
	}
	opts.Timeout = 2 * time.Second
	return opts
}

func TestLostAnswerIsAskedFor(t *testing.T) {
	p := newProxy(t)
	s := openVia(t, p, pgstore.Options{Schema: schema(t)})
	defer s.Close()
	for i := range 5 {
		warmUp(t, s)
		if err := increment(s, t, func() { p.set(loseAnswer) }); err != nil {
			t.Fatalf("Update %d whose commit's answer was lost = %v, want nil", i, err)
		}
		warmUp(t, s)
		if err := put(t, s, fmt.Sprint(i), func() { p.set(loseAnswer) }); err != nil {
			t.Fatalf("blind Update %d whose commit's answer was lost = %v, want nil", i, err)
		}
	}
	wantCount(t, s, 15)
	if head, err := s.Head(t.Context(), "a"); err != nil || head != 15 {
		t.Errorf("Head = %d, %v; want 15: each commit once", head, err)
	}
	if got := s.Stats().Reconnects; got < 10 {
		t.Errorf("Reconnects = %d, want at least 10: the proxy lost nothing", got)
	}
}

func TestLostRequest(t *testing.T) {
	p := newProxy(t)
	s := openVia(t, p, pgstore.Options{Schema: schema(t)})
	defer s.Close()
	if err := increment(s, t, nothing); err != nil {
		t.Fatal(err)
	}
	err := increment(s, t, func() { p.set(loseRequest) })
	if !errors.Is(err, pgstore.ErrUnavailable) || errors.Is(err, store.ErrUncertain) {
		t.Errorf("an Update whose connection was lost before its commit = %v, want ErrUnavailable", err)
	}
	wantCount(t, s, 1)
	if err := put(t, s, "blind", func() { p.set(loseRequest) }); err != nil {
		t.Errorf("an Update without reads whose connection was lost = %v, want nil", err)
	}
	p.cut()
	if err := increment(s, t, nothing); err != nil {
		t.Errorf("an Update after all connections were cut = %v, want nil", err)
	}
	wantCount(t, s, 2)
	if head, err := s.Head(t.Context(), "a"); err != nil || head != 1 {
		t.Errorf("Head = %d, %v; want 1", head, err)
	}
}

func TestNoAnswerIsUncertain(t *testing.T) {
	p := newProxy(t)
	opts := create(t)
	s := openVia(t, p, opts)
	warmUp(t, s)
	if err := increment(s, t, func() { p.set(loseForGood) }); !errors.Is(err, store.ErrUncertain) {
		t.Errorf("an Update of whose commit nobody can tell = %v, want ErrUncertain", err)
	}
	p.set(healthy)
	if err := put(t, s, "k", nothing); !errors.Is(err, store.ErrUncertain) {
		t.Errorf("the next Update = %v, want ErrUncertain until the store is reopened", err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	again := open(t, opts)
	defer again.Close()
	wantCount(t, again, 2)
	if err := increment(again, t, nothing); err != nil {
		t.Error(err)
	}
	wantCount(t, again, 3)
}

func TestUnavailable(t *testing.T) {
	p := newProxy(t)
	opts := create(t)
	s := openVia(t, p, opts)
	defer s.Close()
	p.set(refuseAll)
	p.cut()
	view := s.View(t.Context(), func(r store.Reader) error { return nil })
	_, open := pgstore.Open(t.Context(), p.URL(), opts)
	for call, err := range map[string]error{"View": view, "Open": open, "Update": put(t, s, "k", nothing), "read": increment(s, t, nothing)} {
		if e, ok := errors.AsType[*pgstore.Error](err); !errors.Is(err, pgstore.ErrUnavailable) || !ok || e.Do == "" {
			t.Errorf("%s without a server = %v, want an Error that is ErrUnavailable", call, err)
		}
	}
	p.set(healthy)
	if err := increment(s, t, nothing); err != nil {
		t.Errorf("an Update when the server is back = %v", err)
	}
	wantCount(t, s, 1)
}
