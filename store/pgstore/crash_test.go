package pgstore_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/joinery-crdt/joinery/internal/pgtest"
	"github.com/joinery-crdt/joinery/store"
	"github.com/joinery-crdt/joinery/store/faultstore"
	"github.com/joinery-crdt/joinery/store/pgstore"
)

// victim starts a server that the test may harm.
func victim(t *testing.T) *pgtest.Server {
	t.Helper()
	v, err := pgtest.Start(nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := v.Stop(); err != nil {
			t.Error(err)
		}
	})
	return v
}

// The parts of one Update lie in several tables and spaces.
var parts = []struct {
	space string
	table store.Table
}{{"a", store.Cells}, {"a", store.Log}, {"b", store.Cells}, {"", store.Meta}}

// writeParts writes the parts of an Update. Some Updates read first.
func writeParts(tx store.Tx, name string, read bool) error {
	if read {
		if _, err := tx.Get("a", store.Cells, []byte("none")); !errors.Is(err, store.ErrNotFound) {
			return err
		}
	}
	for _, p := range parts {
		if err := tx.Put(p.space, p.table, []byte(name), make([]byte, 100+len(name)*37%900)); err != nil {
			return err
		}
	}
	return nil
}

// A ledger is what writers were told.
type ledger struct {
	mu           sync.Mutex // guards the rest
	acknowledged []string
	rejected     []string
	failed       error // what no writer should be told
}

func (l *ledger) note(name string, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case err == nil:
		l.acknowledged = append(l.acknowledged, name)
	case errors.Is(err, pgstore.ErrUnavailable):
		l.rejected = append(l.rejected, name)
	default:
		l.failed = errors.Join(l.failed, err)
	}
}

func (l *ledger) len() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.acknowledged)
}

// wantWhole demands every acknowledged Update, no rejected one and no half one.
func (l *ledger) wantWhole(r store.Reader) error {
	found := map[string]int{}
	for _, p := range parts {
		for rec, err := range r.Scan(p.space, p.table, store.Range{}) {
			if err != nil {
				return err
			}
			found[string(rec.Key)]++
		}
	}
	for _, name := range l.acknowledged {
		if found[name] == 0 {
			return fmt.Errorf("acknowledged Update %s is lost", name)
		}
	}
	for _, name := range l.rejected {
		if found[name] > 0 {
			return fmt.Errorf("Update %s was rejected and is there", name)
		}
	}
	for name, n := range found {
		if n != len(parts) {
			return fmt.Errorf("Update %s has %d of %d parts", name, n, len(parts))
		}
	}
	return l.failed
}

// TestKilledServer kills the server under writers, which go on when it is back.
func TestKilledServer(t *testing.T) {
	const writers, kills, between = 16, 3, 150
	v := victim(t)
	s, err := pgstore.Open(t.Context(), v.URL(), pgstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var l ledger
	var stop atomic.Bool
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := 0; !stop.Load(); i++ {
				name := fmt.Sprintf("%d.%d", w, i)
				l.note(name, s.Update(t.Context(), func(tx store.Tx) error { return writeParts(tx, name, i%4 == 0) }))
			}
		})
	}
	for range kills {
		for start := l.len(); l.len() < start+between && l.failed == nil; {
			if err := s.View(t.Context(), func(store.Reader) error { return nil }); err != nil && !errors.Is(err, pgstore.ErrUnavailable) {
				t.Error(err)
			}
		}
		if err := errors.Join(v.Kill(), v.Run()); err != nil {
			t.Fatal(err)
		}
	}
	stop.Store(true)
	wg.Wait()
	if err := errors.Join(s.View(t.Context(), l.wantWhole), s.Close()); err != nil {
		t.Fatal(err)
	}
	again, err := pgstore.Open(t.Context(), v.URL(), pgstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(again.View(t.Context(), l.wantWhole), again.Close()); err != nil {
		t.Error(err)
	}
	t.Logf("%d kills, %d acknowledged Updates, %d rejected ones", kills, len(l.acknowledged), len(l.rejected))
}

// TestErrorAtEveryStep fails each step of a few Updates in its turn, with an
// error that undoes the step and with one that leaves it open.
func TestErrorAtEveryStep(t *testing.T) {
	opts := pgstore.Options{Schema: schema(t)}
	var l ledger
	failed := 0
	for _, fault := range []error{pgstore.ErrUnavailable, faultstore.Uncertain(errSession)} {
		for k, hit := 0, true; hit; k++ {
			s := faultstore.Wrap(open(t, opts))
			s.Arm(faultstore.At(k, fault))
			for i := range 3 {
				name := fmt.Sprintf("%v.%d.%d", fault, k, i)
				err := s.Update(t.Context(), func(tx store.Tx) error { return writeParts(tx, name, true) })
				if err != nil {
					failed++
				}
				if !errors.Is(err, store.ErrUncertain) {
					l.note(name, err)
				}
			}
			hit = s.Steps() > k
			s.Disarm()
			if err := errors.Join(s.View(t.Context(), l.wantWhole), s.Close()); err != nil {
				t.Errorf("%v at step %d: %v", fault, k, err)
			}
		}
	}
	if failed < 40 {
		t.Errorf("%d Updates failed, want more", failed)
	}
}

var errSession = errors.New("session: lost")

// TestRestartedServer restarts the server while nobody writes.
func TestRestartedServer(t *testing.T) {
	v := victim(t)
	s, err := pgstore.Open(t.Context(), v.URL(), pgstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for i := range 3 {
		if err := errors.Join(increment(s, t, nothing), put(t, s, fmt.Sprint(i), nothing)); err != nil {
			t.Fatalf("after %d restarts: %v", i, err)
		}
		wantCount(t, s, i+1)
		if err := v.Restart(); err != nil {
			t.Fatal(err)
		}
	}
	awaitLock(t, v)
	if _, err := pgstore.Open(t.Context(), v.URL(), pgstore.Options{}); !errors.Is(err, store.ErrLocked) {
		t.Errorf("Open beside a store whose server was restarted = %v, want ErrLocked", err)
	}
	if err := v.Restart("fsync=off"); err != nil {
		t.Fatal(err)
	}
	if err := put(t, s, "k", nothing); !errors.Is(err, pgstore.ErrUnsupported) {
		t.Errorf("an Update when the server has come back with fsync=off = %v, want ErrUnsupported", err)
	}
}

// TestHealth stops the server and starts it again while nobody uses the store.
func TestHealth(t *testing.T) {
	v := victim(t)
	s, err := pgstore.Open(t.Context(), v.URL(), pgstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.Health(); err != nil {
		t.Errorf("Health of a new store = %v", err)
	}
	if err := v.Kill(); err != nil {
		t.Fatal(err)
	}
	awaitHealth(t, s, func(err error) bool { return errors.Is(err, pgstore.ErrUnavailable) })
	if err := v.Run(); err != nil {
		t.Fatal(err)
	}
	awaitHealth(t, s, func(err error) bool { return err == nil })
	if err := put(t, s, "k", nothing); err != nil {
		t.Errorf("an Update when the server is back = %v", err)
	}
}

// awaitHealth waits until a store says what is wanted of itself.
func awaitHealth(t *testing.T, s store.Store, want func(error) bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for !want(store.Health(s)) {
		select {
		case <-time.After(time.Millisecond):
		case <-ctx.Done():
			t.Fatalf("Health is still %v", store.Health(s))
		}
	}
}

// awaitLock waits until a store has locked itself on a server. After a restart
// whoever comes first has the lock.
func awaitLock(t *testing.T, v *pgtest.Server) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), v.URL())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	for held := false; !held; {
		err := conn.QueryRow(t.Context(), "SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND mode = 'ExclusiveLock' AND granted)").Scan(&held)
		if err != nil {
			t.Fatal(err)
		}
	}
}
