package hlc

import (
	"fmt"
	"sync/atomic"
	"time"
)

// DefaultMaxDrift is how far ahead of the wall clock a remote timestamp may lie
// when [Config.MaxDrift] is zero.
const DefaultMaxDrift = time.Minute

// maxIssued is the last millisecond that a wall clock, a remote timestamp or
// Config.After may bring a clock to. The 2^40 milliseconds above it are room for
// 2^56 calls of Now, so that no input can bring a clock to its end.
const maxIssued = MaxMillis - 1<<40

// Config says how a [Clock] behaves. The zero Config is usable.
type Config struct {
	// Now reads the wall clock; nil means [time.Now]. It must be safe for
	// concurrent use and may go backwards. A time before 1970 counts as 1970.
	Now func() time.Time

	// MaxDrift is how far ahead of the wall clock a remote timestamp may lie,
	// rounded up to a millisecond; zero means [DefaultMaxDrift].
	MaxDrift time.Duration

	// After is a timestamp that the clock starts above, however stale the wall
	// clock is. After a restart, give the larger of the largest timestamp in the
	// durable log and the last bound stored for [Clock.Reserve].
	After Timestamp
}

// A Clock is one process's hybrid logical clock. Make it with [NewClock]. It is
// safe for concurrent use, takes no lock and does not allocate except to report
// an error.
type Clock struct {
	now      func() time.Time
	maxDrift time.Duration
	last     atomic.Uint64 // the largest Timestamp issued, observed or started after
}

// NewClock returns a clock that starts above cfg.After. A negative MaxDrift gives
// [*ConfigError]; an After so large that the clock could come to its end (beyond
// the year 10854) gives [*RangeError].
func NewClock(cfg Config) (*Clock, error) {
	if cfg.MaxDrift < 0 {
		return nil, &ConfigError{Field: "MaxDrift", Problem: fmt.Sprintf("is %s: use zero or a positive duration", cfg.MaxDrift)}
	}
	if cfg.After.Millis() > maxIssued {
		return nil, &RangeError{Millis: cfg.After.Millis()}
	}
	c := &Clock{now: cfg.Now, maxDrift: cfg.MaxDrift}
	if c.now == nil {
		c.now = time.Now
	}
	if c.maxDrift == 0 {
		c.maxDrift = DefaultMaxDrift
	}
	c.last.Store(uint64(cfg.After))
	return c, nil
}

// Now returns a timestamp for a local event or a message to send: the wall
// clock's millisecond, or, if that is not above all that the clock has issued
// and observed, the least timestamp that is. A counter that is full carries into
// the millisecond.
func (c *Clock) Now() Timestamp {
	wall := uint64(c.wall())
	for {
		last := c.last.Load()
		next := max(wall, last+1)
		if c.last.CompareAndSwap(last, next) {
			return Timestamp(next)
		}
	}
}

// Observe takes note of a timestamp received from elsewhere: every later
// [Clock.Now] is above remote. Call it before stamping anything that depends on
// what was received. A remote above [Clock.Limit] gives [*DriftError] and leaves
// the clock as it was. A remote however old is accepted.
func (c *Clock) Observe(remote Timestamp) error {
	if wall := c.wall(); remote > c.limit(wall) {
		return &DriftError{Remote: remote, Wall: wall, Max: c.maxDrift}
	}
	c.Advance(remote)
	return nil
}

// Advance brings the clock to t if it is behind, however far ahead t is: every
// later [Clock.Now] is above t. It is for timestamps that were accepted before,
// at or below an earlier [Clock.Limit] or read from the program's own log, which
// Observe could refuse now if the wall clock has been set back since. A t beyond
// what a limit can be (the year 10854) counts as that.
func (c *Clock) Advance(t Timestamp) {
	t = min(t, New(maxIssued, counterMask))
	for {
		last := c.last.Load()
		if uint64(t) <= last || c.last.CompareAndSwap(last, uint64(t)) {
			return
		}
	}
}

// Limit returns the largest timestamp that [Clock.Observe] accepts at present.
// It moves with the wall clock, in both directions.
func (c *Clock) Limit() Timestamp { return c.limit(c.wall()) }

// Last returns the largest timestamp that the clock has issued, observed or
// started after; the next is above it.
func (c *Clock) Last() Timestamp { return Timestamp(c.last.Load()) }

func (c *Clock) limit(wall Timestamp) Timestamp { return ahead(wall, c.maxDrift) }

// wall returns the wall clock with counter 0, within what a clock may issue.
func (c *Clock) wall() Timestamp {
	return New(min(c.now().UnixMilli(), maxIssued), 0)
}

// ahead returns the last timestamp of the millisecond that lies d after wall,
// rounded up, and at most maxIssued.
func ahead(wall Timestamp, d time.Duration) Timestamp {
	millis := int64(d / time.Millisecond)
	if d%time.Millisecond > 0 {
		millis++
	}
	return New(min(wall.Millis()+millis, maxIssued), counterMask)
}
