package pace

import "time"

// A Backoff is how long to wait between attempts: a random time with full
// jitter, whose bound doubles with each failure. Clients that failed together
// do not come back together.
type Backoff struct {
	First   time.Duration // bound after the first failure
	Longest time.Duration // bound after many
	// Random returns a duration from 0 to limit, all equally likely.
	Random func(limit time.Duration) time.Duration
}

// Pause returns how long to wait after that many failures in a row, of which
// the first counts 0.
func (b Backoff) Pause(failures int) time.Duration { return b.Random(b.bound(failures)) }

func (b Backoff) bound(failures int) time.Duration {
	bound := b.First
	for range failures {
		if bound >= b.Longest/2 {
			return b.Longest
		}
		bound *= 2
	}
	return min(bound, b.Longest)
}

// A Breaker watches the attempts to reach one endpoint, whoever makes them. It
// opens after some failures in a row; while it is open, one attempt at a time
// is made, to probe. The first success closes it.
type Breaker struct {
	// Limit is the number of failures in a row that opens the breaker.
	Limit    int
	failures int
	probing  bool
}

// Try reports whether an attempt may be made. Each attempt ends with one call of
// Succeed or Fail, or of Leave.
func (b *Breaker) Try() bool {
	if !b.Open() {
		return true
	}
	first := !b.probing
	b.probing = true
	return first
}

// Open reports whether attempts are held back.
func (b *Breaker) Open() bool { return b.failures >= b.Limit }

// Failures returns the number of failures in a row.
func (b *Breaker) Failures() int { return b.failures }

// Succeed notes that an attempt was worth it.
func (b *Breaker) Succeed() { b.failures, b.probing = 0, false }

// Fail notes that an attempt was not.
func (b *Breaker) Fail() {
	b.failures++
	b.probing = false
}

// Leave notes that an attempt ended without telling anything.
func (b *Breaker) Leave() { b.probing = false }
