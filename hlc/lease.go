package hlc

import (
	"fmt"
	"sync"
	"time"
)

// DefaultLead is how far ahead of the wall clock a [LeasedClock] stores its bound.
const DefaultLead = time.Second

// Reserve returns a bound for restart: a timestamp above everything that the
// clock has issued or observed, and at least lead ahead of the wall clock. Once
// the caller has stored it durably, timestamps up to and including it may be
// shown; a clock made after a crash with [Config.After] at the bound repeats none
// of them.
//
// A caller that makes each timestamp durable with the event it stamps, before
// either is shown, needs no bound: the largest timestamp in its log serves. If it
// stores one all the same, it belongs into the same transaction.
//
// The bound follows the wall clock, not the previous bound, so that a process
// which restarts over and over does not run ahead of time: beyond lead, each
// restart costs a millisecond. A negative lead counts as zero.
func (c *Clock) Reserve(lead time.Duration) Timestamp {
	const millisecond = 1 << counterBits
	return max(ahead(c.wall(), max(lead, 0)), c.Last()+millisecond)
}

// A LeasedClock is a [Clock] for programs that keep no log of what they stamp. It
// stores a bound ahead of what it hands out, about once a second while in use,
// and hands out nothing that a stored bound does not cover. Make it with
// [NewLeasedClock]. It is safe for concurrent use.
type LeasedClock struct {
	clock *Clock
	save  func(bound Timestamp) error

	mu    sync.Mutex // guards bound, and orders calls of save
	bound Timestamp  // the last bound that save has stored
}

// NewLeasedClock returns a leased clock. cfg.After must be the last bound that
// save stored, or zero if there is none. save must return nil only when the bound
// will survive a crash; it is never called concurrently, must not call the clock,
// and each bound is above those stored before. Errors are those of [NewClock].
func NewLeasedClock(cfg Config, save func(bound Timestamp) error) (*LeasedClock, error) {
	if save == nil {
		return nil, &ConfigError{Field: "save", Problem: "is nil: pass a function that stores the bound"}
	}
	clock, err := NewClock(cfg)
	if err != nil {
		return nil, err
	}
	return &LeasedClock{clock: clock, save: save, bound: cfg.After}, nil
}

// Now is [Clock.Now] with a promise for restart: a clock started from the stored
// bound is above what was returned. It fails only if save does, and returns zero
// and save's error, wrapped, then.
func (l *LeasedClock) Now() (Timestamp, error) {
	t := l.clock.Now()
	if err := l.cover(t); err != nil {
		return 0, err
	}
	return t, nil
}

// Observe is [Clock.Observe] with a promise for restart: a clock started from the
// stored bound is above remote. If save fails, its error is returned, wrapped; the
// promise then holds until the process ends.
func (l *LeasedClock) Observe(remote Timestamp) error {
	if err := l.clock.Observe(remote); err != nil {
		return err
	}
	return l.cover(remote)
}

// cover returns nil when the stored bound is at or above t.
func (l *LeasedClock) cover(t Timestamp) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if t <= l.bound {
		return nil
	}
	bound := l.clock.Reserve(DefaultLead)
	if err := l.save(bound); err != nil {
		return fmt.Errorf("hlc: store the clock's bound %s: %w", bound, err)
	}
	l.bound = bound
	return nil
}
