package hlc_test

import (
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/joinery-crdt/joinery/hlc"
)

// A wallClock is set by hand. It is safe for concurrent use.
type wallClock struct{ millis atomic.Int64 }

func wallAt(millis int64) *wallClock {
	w := &wallClock{}
	w.millis.Store(millis)
	return w
}

func (w *wallClock) now() time.Time { return time.UnixMilli(w.millis.Load()) }

func newClock(t testing.TB, cfg hlc.Config) *hlc.Clock {
	t.Helper()
	c, err := hlc.NewClock(cfg)
	if err != nil {
		t.Fatalf("NewClock: %v", err)
	}
	return c
}

func TestNowFollowsWall(t *testing.T) {
	w := wallAt(1000)
	c := newClock(t, hlc.Config{Now: w.now})
	if got, want := c.Now(), hlc.New(1000, 0); got != want {
		t.Errorf("first Now = %v, want %v", got, want)
	}
	if got, want := c.Now(), hlc.New(1000, 1); got != want {
		t.Errorf("Now in the same millisecond = %v, want %v", got, want)
	}
	w.millis.Store(1007)
	if got, want := c.Now(), hlc.New(1007, 0); got != want {
		t.Errorf("Now in a later millisecond = %v, want %v", got, want)
	}
}

func TestBackwardClock(t *testing.T) {
	w := wallAt(time.Hour.Milliseconds())
	c := newClock(t, hlc.Config{Now: w.now})
	before := c.Now()
	w.millis.Add(-10 * time.Minute.Milliseconds())
	if got, want := c.Now(), before+1; got != want {
		t.Errorf("Now after the wall clock went back = %v, want %v", got, want)
	}
	w.millis.Store(-5)
	if got, want := c.Now(), before+2; got != want {
		t.Errorf("Now before 1970 = %v, want %v", got, want)
	}
}

func TestReceiveEqual(t *testing.T) {
	w := wallAt(100)
	c := newClock(t, hlc.Config{Now: w.now, After: hlc.New(100, 5)})
	remote := hlc.New(100, 9)
	if err := c.Observe(remote); err != nil {
		t.Fatalf("Observe(%v): %v", remote, err)
	}
	if got, want := c.Now(), hlc.New(100, 10); got != want {
		t.Errorf("Now = %v, want %v", got, want)
	}
}

func TestObserveOldIsAcceptedAndMovesNothing(t *testing.T) {
	w := wallAt(time.Hour.Milliseconds())
	c := newClock(t, hlc.Config{Now: w.now})
	last := c.Now()
	for _, remote := range []hlc.Timestamp{0, 1, hlc.New(5, 5), last} {
		if err := c.Observe(remote); err != nil {
			t.Errorf("Observe(%v): %v", remote, err)
		}
	}
	if got := c.Last(); got != last {
		t.Errorf("Last = %v, want %v", got, last)
	}
}

func TestRestartStale(t *testing.T) {
	state, log, wall := hlc.New(50, 0), hlc.New(90, 3), wallAt(10)
	c := newClock(t, hlc.Config{Now: wall.now, After: max(state, log)})
	if got := c.Now(); got <= log {
		t.Errorf("Now = %v, want above %v", got, log)
	}
}

func TestPoisonFuture(t *testing.T) {
	w := wallAt(time.Hour.Milliseconds())
	c := newClock(t, hlc.Config{Now: w.now})
	last := c.Now()
	year := hlc.New(w.millis.Load()+365*24*time.Hour.Milliseconds(), 0)
	for range 2 {
		err := c.Observe(year)
		drift, ok := errors.AsType[*hlc.DriftError](err)
		if !ok || !errors.Is(err, hlc.ErrDrift) {
			t.Fatalf("Observe(a year ahead) = %v, want a DriftError", err)
		}
		want := hlc.DriftError{Remote: year, Wall: hlc.New(w.millis.Load(), 0), Max: hlc.DefaultMaxDrift}
		if *drift != want {
			t.Errorf("facts = %+v, want %+v", *drift, want)
		}
		good := last + 7
		if err := c.Observe(good); err != nil {
			t.Errorf("Observe(%v) amid poison: %v", good, err)
		}
		if got := c.Last(); got != good {
			t.Errorf("Last = %v, want %v: the refused timestamp moved the clock", got, good)
		}
	}
}

func TestAdvanceTakesWhatWasAcceptedBefore(t *testing.T) {
	w := wallAt(time.Hour.Milliseconds())
	c := newClock(t, hlc.Config{Now: w.now})
	accepted := c.Limit()
	w.millis.Store(0) // set back between the acceptance and its commit
	if err := c.Observe(accepted); !errors.Is(err, hlc.ErrDrift) {
		t.Fatalf("Observe(%v) = %v, want ErrDrift", accepted, err)
	}
	c.Advance(accepted)
	c.Advance(accepted - 5)
	if got, want := c.Now(), accepted+1; got != want {
		t.Errorf("Now = %v, want %v", got, want)
	}
	c.Advance(hlc.Max)
	first := c.Now()
	if second := c.Now(); first <= accepted || second <= first {
		t.Errorf("Now = %v after %v: Advance(Max) brought the clock to its end", second, first)
	}
}

func TestDriftLimitIsExact(t *testing.T) {
	for _, test := range []struct {
		max    time.Duration
		millis int64
	}{
		{0, 60_000},
		{time.Second, 1000},
		{1500 * time.Microsecond, 2},
		{time.Nanosecond, 1},
	} {
		w := wallAt(5000)
		c := newClock(t, hlc.Config{Now: w.now, MaxDrift: test.max})
		limit := hlc.New(5000+test.millis, 0xffff)
		if got := c.Limit(); got != limit {
			t.Errorf("MaxDrift %v: Limit = %v, want %v", test.max, got, limit)
		}
		if err := c.Observe(limit + 1); !errors.Is(err, hlc.ErrDrift) {
			t.Errorf("MaxDrift %v: Observe(%v) = %v, want ErrDrift", test.max, limit+1, err)
		}
		if err := c.Observe(limit); err != nil {
			t.Errorf("MaxDrift %v: Observe(%v): %v", test.max, limit, err)
		}
	}
}

func TestLimitIsOfTheWallNotOfTheClock(t *testing.T) {
	w := wallAt(0)
	c := newClock(t, hlc.Config{Now: w.now, After: hlc.New(time.Hour.Milliseconds(), 0)})
	if got, want := c.Limit(), hlc.New(60_000, 0xffff); got != want {
		t.Errorf("Limit = %v, want %v", got, want)
	}
}

func TestCounterExhaust(t *testing.T) {
	w := wallAt(100)
	c := newClock(t, hlc.Config{Now: w.now})
	previous := hlc.Timestamp(0)
	for i := range 70_000 {
		got := c.Now()
		if got <= previous {
			t.Fatalf("event %d: Now = %v, want above %v", i, got, previous)
		}
		previous = got
	}
	if want := hlc.New(101, 70_000-1<<16-1); previous != want {
		t.Errorf("last = %v, want %v", previous, want)
	}
}

func TestSameTickIds(t *testing.T) {
	const workers, each = 8, 125_000
	w := wallAt(100)
	c := newClock(t, hlc.Config{Now: w.now})
	issued := make([][]hlc.Timestamp, workers)
	var wg sync.WaitGroup
	for i := range workers {
		wg.Go(func() {
			for range each {
				issued[i] = append(issued[i], c.Now())
			}
		})
	}
	wg.Wait()
	for i, stamps := range issued {
		if !slices.IsSorted(stamps) {
			t.Errorf("goroutine %d saw the clock go back", i)
		}
	}
	all := slices.Concat(issued...)
	slices.Sort(all)
	if got := len(slices.Compact(all)); got != workers*each {
		t.Errorf("%d distinct timestamps, want %d", got, workers*each)
	}
}

func TestObserveFromManyGoroutines(t *testing.T) {
	w := wallAt(100)
	c := newClock(t, hlc.Config{Now: w.now})
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for k := range 10_000 {
				remote := hlc.New(100+int64(k%500), uint16(i))
				if err := c.Observe(remote); err != nil {
					t.Errorf("Observe(%v): %v", remote, err)
					return
				}
				if got := c.Now(); got <= remote {
					t.Errorf("Now = %v after Observe(%v)", got, remote)
					return
				}
			}
		})
	}
	wg.Wait()
}

func TestNoInputBringsTheClockToItsEnd(t *testing.T) {
	w := wallAt(1<<62 - 1)
	c := newClock(t, hlc.Config{Now: w.now, MaxDrift: 1<<63 - 1})
	if err := c.Observe(hlc.Max); !errors.Is(err, hlc.ErrDrift) {
		t.Errorf("Observe(Max) = %v, want ErrDrift", err)
	}
	if err := c.Observe(c.Limit()); err != nil {
		t.Errorf("Observe(Limit): %v", err)
	}
	first := c.Now()
	if second := c.Now(); second <= first || second.Millis() > hlc.MaxMillis-1<<39 {
		t.Errorf("Now = %v after %v, want above it and far from the end", second, first)
	}
	_, err := hlc.NewClock(hlc.Config{After: hlc.Max})
	if r, ok := errors.AsType[*hlc.RangeError](err); !ok || r.Millis != hlc.MaxMillis {
		t.Errorf("NewClock(After: Max) = %v, want a RangeError at MaxMillis", err)
	}
}

func TestNewClockRefusesNegativeDrift(t *testing.T) {
	_, err := hlc.NewClock(hlc.Config{MaxDrift: -1})
	if e, ok := errors.AsType[*hlc.ConfigError](err); !ok || e.Field != "MaxDrift" || !errors.Is(err, hlc.ErrConfig) {
		t.Errorf("NewClock(MaxDrift: -1) = %v, want a ConfigError about MaxDrift", err)
	}
}

func TestDefaultIsTheSystemClock(t *testing.T) {
	c := newClock(t, hlc.Config{})
	before := time.Now().UnixMilli()
	got := c.Now().Millis()
	if after := time.Now().UnixMilli(); got < before || got > after {
		t.Errorf("Now = %d ms, want from %d to %d", got, before, after)
	}
}

func TestDriftErrorText(t *testing.T) {
	e := &hlc.DriftError{Remote: hlc.New(90_000, 1), Wall: hlc.New(0, 0), Max: time.Minute}
	for _, part := range []string{"hlc: ", "1970-01-01T00:01:30Z", "1m30s ahead", "1m0s allowed", "correct"} {
		if !strings.Contains(e.Error(), part) {
			t.Errorf("text %q lacks %q", e.Error(), part)
		}
	}
	e.Remote = hlc.Max
	if got := e.Ahead(); got < 292*365*24*time.Hour {
		t.Errorf("Ahead = %v, want the largest duration", got)
	}
}

func TestNoAllocations(t *testing.T) {
	w := wallAt(100)
	c := newClock(t, hlc.Config{Now: w.now})
	buf := make([]byte, 0, hlc.TextLen)
	allocs := testing.AllocsPerRun(1000, func() {
		now := c.Now()
		_ = c.Observe(now + 1)
		_, _ = now.AppendBinary(buf)
		_, _ = now.AppendText(buf)
	})
	if allocs != 0 {
		t.Errorf("%v allocations a round, want 0", allocs)
	}
}
