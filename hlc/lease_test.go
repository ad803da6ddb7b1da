package hlc_test

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/joinery-crdt/joinery/hlc"
)

// A boundFile stands for durable storage of the bound.
type boundFile struct {
	bound  hlc.Timestamp
	writes int
	err    error
}

func (f *boundFile) save(bound hlc.Timestamp) error {
	if f.err != nil {
		return f.err
	}
	f.bound = bound
	f.writes++
	return nil
}

func newLeased(t testing.TB, cfg hlc.Config, f *boundFile) *hlc.LeasedClock {
	t.Helper()
	cfg.After = f.bound
	l, err := hlc.NewLeasedClock(cfg, f.save)
	if err != nil {
		t.Fatalf("NewLeasedClock: %v", err)
	}
	return l
}

func leasedNow(t testing.TB, l *hlc.LeasedClock) hlc.Timestamp {
	t.Helper()
	now, err := l.Now()
	if err != nil {
		t.Fatalf("Now: %v", err)
	}
	return now
}

func TestReserveCoversWhatWasIssued(t *testing.T) {
	w := wallAt(1000)
	c := newClock(t, hlc.Config{Now: w.now, After: hlc.New(5000, 7)})
	if got, want := c.Reserve(time.Second), hlc.New(5001, 7); got != want {
		t.Errorf("Reserve with the clock ahead of the wall = %v, want %v", got, want)
	}
	w.millis.Store(6000)
	if got, want := c.Reserve(time.Second), hlc.New(7000, 0xffff); got != want {
		t.Errorf("Reserve = %v, want %v", got, want)
	}
	if got, want := c.Reserve(-time.Hour), hlc.New(6000, 0xffff); got != want {
		t.Errorf("Reserve with a negative lead = %v, want %v", got, want)
	}
	if got := c.Last(); got != hlc.New(5000, 7) {
		t.Errorf("Last = %v: Reserve moved the clock", got)
	}
}

func TestLeasedNeverRepeatsAcrossRestarts(t *testing.T) {
	w, file := wallAt(1000), &boundFile{}
	var last hlc.Timestamp
	for restart := range 200 {
		l := newLeased(t, hlc.Config{Now: w.now}, file)
		for range restart % 7 {
			now := leasedNow(t, l)
			if now <= last || now > file.bound {
				t.Fatalf("restart %d: Now = %v, want above %v and at most the stored %v", restart, now, last, file.bound)
			}
			last = now
		}
		w.millis.Add(int64(restart%5 - 3))
	}
}

func TestLeasedSavesSeldom(t *testing.T) {
	w, file := wallAt(1000), &boundFile{}
	l := newLeased(t, hlc.Config{Now: w.now}, file)
	for range 10_000 {
		w.millis.Add(1)
		leasedNow(t, l)
	}
	if file.writes < 9 || file.writes > 11 {
		t.Errorf("%d writes in 10 s of use, want about one a second", file.writes)
	}
}

func TestRestartingOverAndOverStaysNearTheWall(t *testing.T) {
	w, file := wallAt(1000), &boundFile{}
	const restarts = 1000
	for range restarts {
		leasedNow(t, newLeased(t, hlc.Config{Now: w.now}, file))
	}
	limit := w.millis.Load() + hlc.DefaultLead.Milliseconds() + restarts
	if got := file.bound.Millis(); got > limit {
		t.Errorf("bound = %d ms after %d restarts, want at most %d", got, restarts, limit)
	}
}

func TestLeasedObserveSurvivesRestart(t *testing.T) {
	w, file := wallAt(1000), &boundFile{}
	l := newLeased(t, hlc.Config{Now: w.now}, file)
	leasedNow(t, l)
	remote := hlc.New(50_000, 3)
	if err := l.Observe(remote); err != nil {
		t.Fatalf("Observe(%v): %v", remote, err)
	}
	if got := leasedNow(t, newLeased(t, hlc.Config{Now: w.now}, file)); got <= remote {
		t.Errorf("Now after restart = %v, want above the observed %v", got, remote)
	}
	if err := l.Observe(hlc.New(10_000_000, 0)); !errors.Is(err, hlc.ErrDrift) {
		t.Errorf("Observe far ahead = %v, want ErrDrift", err)
	}
}

func TestLeasedShowsNothingUnsaved(t *testing.T) {
	w, full := wallAt(1000), errors.New("disk full")
	file := &boundFile{err: full}
	l := newLeased(t, hlc.Config{Now: w.now}, file)
	if now, err := l.Now(); now != 0 || !errors.Is(err, full) {
		t.Errorf("Now = %v, %v, want zero and %v", now, err, full)
	}
	if err := l.Observe(hlc.New(1000, 9)); !errors.Is(err, full) {
		t.Errorf("Observe = %v, want %v", err, full)
	}
	file.err = nil
	if now := leasedNow(t, l); now > file.bound {
		t.Errorf("Now = %v, want at most the stored %v", now, file.bound)
	}
}

func TestLeasedConcurrent(t *testing.T) {
	w, file := wallAt(1000), &boundFile{}
	l := newLeased(t, hlc.Config{Now: w.now}, file)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 5000 {
				w.millis.Add(1)
				if _, err := l.Now(); err != nil {
					t.Errorf("Now: %v", err)
					return
				}
			}
		})
	}
	wg.Wait()
	if now := leasedNow(t, l); now > file.bound {
		t.Errorf("Now = %v, want at most the stored %v", now, file.bound)
	}
}

func TestNewLeasedClockRefuses(t *testing.T) {
	if _, err := hlc.NewLeasedClock(hlc.Config{}, nil); !errors.Is(err, hlc.ErrConfig) {
		t.Errorf("NewLeasedClock(nil save) = %v, want ErrConfig", err)
	}
	file := &boundFile{}
	if _, err := hlc.NewLeasedClock(hlc.Config{MaxDrift: -1}, file.save); !errors.Is(err, hlc.ErrConfig) {
		t.Errorf("NewLeasedClock(negative drift) = %v, want ErrConfig", err)
	}
}
