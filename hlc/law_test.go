package hlc_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/joinery-crdt/joinery/hlc"
)

// An event is a stamped step of a process, with the vector clock that says what
// happened before it.
type event struct {
	process int
	stamp   hlc.Timestamp
	vector  [processes]int
}

const processes = 5

// happenedBefore is the oracle: vector clocks, independent of time.
func (e event) happenedBefore(f event) bool {
	return e.vector[e.process] <= f.vector[e.process] && e.vector != f.vector
}

// A history runs processes with wandering wall clocks that send each other
// messages. Every process draws from one seeded source.
type history struct {
	t      *testing.T
	rng    *rand.Rand
	walls  [processes]*wallClock
	clocks [processes]*hlc.Clock
	latest [processes]event
	events []event
}

func newHistory(t *testing.T, seed uint64) *history {
	h := &history{t: t, rng: rand.New(rand.NewPCG(seed, 1))}
	for p := range processes {
		h.walls[p] = wallAt(1_000_000 + h.rng.Int64N(20_000))
		h.clocks[p] = newClock(t, hlc.Config{Now: h.walls[p].now})
		h.latest[p].process = p
	}
	return h
}

func (h *history) step() {
	p := h.rng.IntN(processes)
	switch h.rng.IntN(4) {
	case 0:
		h.walls[p].millis.Store(1_000_000 + h.rng.Int64N(30_000))
	case 1:
		h.restart(p)
	case 2:
		h.receive(p, h.rng.IntN(processes))
	default:
		h.stamp(p)
	}
}

// restart loses the clock but not the log, whose largest stamp is the latest.
func (h *history) restart(p int) {
	h.clocks[p] = newClock(h.t, hlc.Config{Now: h.walls[p].now, After: h.latest[p].stamp})
}

func (h *history) receive(p, from int) {
	message := h.latest[from]
	if err := h.clocks[p].Observe(message.stamp); err != nil {
		h.t.Fatalf("Observe(%v): %v", message.stamp, err)
	}
	for i, n := range message.vector {
		h.latest[p].vector[i] = max(h.latest[p].vector[i], n)
	}
	h.stamp(p)
}

func (h *history) stamp(p int) {
	e := &h.latest[p]
	e.vector[p]++
	e.stamp = h.clocks[p].Now()
	h.events = append(h.events, *e)
}

func TestLawHappenedBeforeIsLess(t *testing.T) {
	for seed := range uint64(30) {
		h := newHistory(t, seed)
		for range 400 {
			h.step()
		}
		for _, e := range h.events {
			for _, f := range h.events {
				if e.happenedBefore(f) && !e.stamp.Before(f.stamp) {
					t.Fatalf("seed %d: %+v happened before %+v, but is not less", seed, e, f)
				}
			}
		}
	}
}

func TestLawStrictlyIncreasing(t *testing.T) {
	for seed := range uint64(50) {
		rng := rand.New(rand.NewPCG(seed, 2))
		w := wallAt(rng.Int64N(1 << 40))
		c := newClock(t, hlc.Config{Now: w.now, After: hlc.Timestamp(rng.Uint64N(1 << 56))})
		var floor hlc.Timestamp
		for i := range 2000 {
			switch rng.IntN(3) {
			case 0:
				w.millis.Add(rng.Int64N(2*time.Minute.Milliseconds()) - time.Minute.Milliseconds())
			case 1:
				remote := hlc.New(w.millis.Load()+rng.Int64N(70_000)-5_000, uint16(rng.Uint32()))
				if c.Observe(remote) == nil {
					floor = max(floor, remote)
				}
			default:
				now := c.Now()
				if now <= floor {
					t.Fatalf("seed %d, step %d: Now = %v, want above %v", seed, i, now, floor)
				}
				floor = now
			}
		}
	}
}

func TestLawClockStaysWithinDriftOfTheFastestWall(t *testing.T) {
	for seed := range uint64(20) {
		rng := rand.New(rand.NewPCG(seed, 3))
		w := wallAt(1_000_000)
		c := newClock(t, hlc.Config{Now: w.now})
		fastest := w.millis.Load()
		for range 1000 {
			w.millis.Add(rng.Int64N(1000) - 400)
			fastest = max(fastest, w.millis.Load())
			_ = c.Observe(hlc.Timestamp(rng.Uint64())) // nearly always refused
			_ = c.Observe(c.Limit() - hlc.Timestamp(rng.Uint64N(1<<20)))
			if got, limit := c.Now().Millis(), fastest+hlc.DefaultMaxDrift.Milliseconds()+1; got > limit {
				t.Fatalf("seed %d: Now = %d ms, want at most %d", seed, got, limit)
			}
		}
	}
}
