package pace_test

import (
	"math"
	"slices"
	"testing"
	"time"

	"github.com/joinery-crdt/joinery/sync/node/internal/pace"
)

var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// most is the largest that random can be.
func most(limit time.Duration) time.Duration { return limit }

func TestBackoffDoublesUpToItsBound(t *testing.T) {
	b := pace.Backoff{First: 500 * time.Millisecond, Longest: time.Minute, Random: most}
	want := []time.Duration{500, 1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000}
	for failures, ms := range want {
		if got := b.Pause(failures); got != ms*time.Millisecond {
			t.Errorf("after failure %d at most %v, want %v", failures, got, ms*time.Millisecond)
		}
	}
	if got := b.Pause(1 << 40); got != time.Minute {
		t.Errorf("after very many failures at most %v, want a minute", got)
	}
	b.Random = func(limit time.Duration) time.Duration { return limit / 3 }
	if got, want := b.Pause(2), 2*time.Second/3; got != want {
		t.Errorf("pause %v, want what is drawn: %v", got, want)
	}
	short := pace.Backoff{First: 500 * time.Millisecond, Longest: 100 * time.Millisecond, Random: most}
	if got := short.Pause(0); got != 100*time.Millisecond {
		t.Errorf("a first pause of up to %v, beyond the longest", got)
	}
}

func TestBreaker(t *testing.T) {
	b := pace.Breaker{Limit: 3}
	for range 3 {
		first, second := b.Try(), b.Try()
		if !first || !second || b.Open() {
			t.Fatal("a closed breaker holds attempts back")
		}
		b.Fail()
	}
	if !b.Open() || b.Failures() != 3 {
		t.Fatalf("open: %v after %d failures", b.Open(), b.Failures())
	}
	for range 2 { // each probe that fails makes room for one
		first, second := b.Try(), b.Try()
		if !first || second {
			t.Error("an open breaker lets one attempt through at a time")
		}
		b.Fail()
	}
	b.Try()
	b.Leave()
	if !b.Try() {
		t.Error("a probe that was given up holds all others back")
	}
	b.Succeed()
	if first, second := b.Try(), b.Try(); !first || !second || b.Open() || b.Failures() != 0 {
		t.Error("a success does not close the breaker")
	}
}

func TestBucketHoldsItsRate(t *testing.T) {
	const rate, burst = 100, 20
	b := pace.NewBucket(rate, burst, start)
	taken := 0
	for ms := range 10_000 {
		for range 3 {
			if _, ok := b.Take(start.Add(time.Duration(ms) * time.Millisecond)); ok {
				taken++
			}
		}
	}
	if taken < 10*rate || taken > 10*rate+burst {
		t.Errorf("%d tokens in 10 s at %d a second", taken, rate)
	}
	if _, ok := b.Take(start); ok {
		t.Error("a clock that was set back gives a token")
	}
}

// TestBucketSpreadsACrowd has many come at once and come again when they were
// told: each of them is let in the second time.
func TestBucketSpreadsACrowd(t *testing.T) {
	const rate, crowd = 50, 1000
	b := pace.NewBucket(rate, 1, start)
	var again []time.Duration
	for range crowd {
		if after, ok := b.Take(start); !ok {
			again = append(again, after)
		}
	}
	if len(again) != crowd-1 {
		t.Fatalf("%d of %d sent away, want all but one", len(again), crowd)
	}
	if !slices.IsSorted(again) || again[0] != time.Second/rate || again[len(again)-1] < crowd/rate*time.Second*9/10 {
		t.Errorf("sent away for %v to %v, want them spread over %v", again[0], again[len(again)-1], crowd/rate*time.Second)
	}
	for i, after := range again {
		if _, ok := b.Take(start.Add(after + time.Millisecond)); !ok {
			t.Fatalf("number %d came again after %v, as told, and was sent away", i, after)
		}
	}
	slow := pace.NewBucket(1, 1, start)
	for range 500 {
		if after, _ := slow.Take(start); after > time.Minute {
			t.Fatalf("sent away for %v, want at most a minute", after)
		}
	}
}

func TestTurnstile(t *testing.T) {
	turn := pace.NewTurnstile[int](2)
	for k, want := range []int{0, 0, 1, 2, 3, 4} {
		for range 2 {
			if got := turn.Enter(k); got != want {
				t.Errorf("%d has place %d, want %d", k, got, want)
			}
		}
	}
	if next, ok := turn.Leave(3); ok {
		t.Errorf("%d was let in when one left the line", next)
	}
	if got := turn.Enter(4); got != 2 {
		t.Errorf("place %d after one before it left, want 2", got)
	}
	for _, step := range []struct{ leaves, enters int }{{1, 2}, {0, 4}, {2, 5}} {
		if next, ok := turn.Leave(step.leaves); !ok || next != step.enters {
			t.Errorf("when %d left, %d was let in (%v), want %d", step.leaves, next, ok, step.enters)
		}
	}
	if _, ok := turn.Leave(99); ok || turn.Inside() != 2 || turn.Waiting() != 0 {
		t.Errorf("%d inside and %d waiting, want 2 and none", turn.Inside(), turn.Waiting())
	}
}

// TestPhiFollowsTheFormula compares phi with the tail of the normal
// distribution, from a table.
func TestPhiFollowsTheFormula(t *testing.T) {
	const mean, deviation = 1.0, 0.2 // seconds
	d := pace.NewDetector(time.Second, start)
	now := start
	for i := range 64 {
		interval := mean + deviation
		if i%2 == 0 {
			interval = mean - deviation
		}
		now = now.Add(time.Duration(interval * float64(time.Second)))
		d.Heard(now)
	}
	for _, row := range []struct{ sigmas, later float64 }{
		{-1, 0.841345}, {0, 0.5}, {1, 0.158655}, {2, 0.0227501}, {3, 0.00134990}, {4, 3.16712e-5}, {6, 9.86588e-10}, {8, 6.22096e-16},
	} {
		at := now.Add(time.Duration((mean + row.sigmas*deviation) * float64(time.Second)))
		if got, want := d.Phi(at), -math.Log10(row.later); math.Abs(got-want) > 1e-3*max(want, 1) {
			t.Errorf("%v deviations after the mean: phi %.4f, want %.4f", row.sigmas, got, want)
		}
	}
	if got := d.Interval().Seconds(); math.Abs(got-mean) > 1e-3 {
		t.Errorf("mean interval %v s, want %v", got, mean)
	}
}

// TestPhiGrows for a year of silence, without a jump where the series begins.
func TestPhiGrows(t *testing.T) {
	d := pace.NewDetector(2*time.Second, start)
	last := 0.0
	for s := 0.0; s < 30; s += 0.01 {
		phi := d.Phi(start.Add(time.Duration(s * float64(time.Second))))
		if phi < last || s > 3 && phi > last*1.05 {
			t.Fatalf("phi goes from %v to %v after %.2f s", last, phi, s)
		}
		last = phi
	}
	if phi := d.Phi(start.AddDate(1, 0, 0)); math.IsInf(phi, 0) || math.IsNaN(phi) || phi < last {
		t.Errorf("phi %v after a year", phi)
	}
}

// TestPhiOfRegularHeartbeats: a pause well within what happens is not suspect,
// two missed heartbeats are.
func TestPhiOfRegularHeartbeats(t *testing.T) {
	d := pace.NewDetector(time.Second, start)
	now := start
	for range 200 {
		now = now.Add(2 * time.Second) // not what was expected
		d.Heard(now)
	}
	if phi := d.Phi(now.Add(2200 * time.Millisecond)); phi > 2 {
		t.Errorf("phi %v of a heartbeat that is a tenth late", phi)
	}
	if phi := d.Phi(now.Add(4 * time.Second)); phi < 8 {
		t.Errorf("phi %v when a heartbeat is missing, want it suspect", phi)
	}
	if !d.Last().Equal(now) {
		t.Errorf("last heard %v, want %v", d.Last(), now)
	}
}
