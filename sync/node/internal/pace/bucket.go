package pace

import "time"

// maxBooking is how far ahead a Bucket sends away those it refuses.
const maxBooking = time.Minute

// A Bucket is a token bucket. Whoever it refuses gets a time to come again, and
// these times are as far apart as the tokens: a crowd that comes at once comes
// again one by one.
type Bucket struct {
	rate   float64 // tokens per second
	burst  float64 // tokens it holds
	tokens float64
	at     time.Time // when tokens was right
	booked time.Time // the last time that was given out
}

// NewBucket returns a full bucket. Rate and burst are at least 1.
func NewBucket(rate, burst int, now time.Time) *Bucket {
	return &Bucket{rate: float64(max(rate, 1)), burst: float64(max(burst, 1)), tokens: float64(max(burst, 1)), at: now}
}

// Take takes a token. When there is none, it returns how long to wait, at most a
// minute, and false.
func (b *Bucket) Take(now time.Time) (after time.Duration, ok bool) {
	if passed := now.Sub(b.at); passed > 0 {
		b.tokens = min(b.burst, b.tokens+passed.Seconds()*b.rate)
		b.at = now
	}
	if b.tokens >= 1 {
		b.tokens--
		return 0, true
	}
	return b.book(now), false
}

// book gives out the next free time.
func (b *Bucket) book(now time.Time) time.Duration {
	if b.booked.Before(now) || b.booked.Sub(now) > maxBooking {
		b.booked = now
	}
	b.booked = b.booked.Add(time.Duration(float64(time.Second) / b.rate))
	return min(b.booked.Sub(now), maxBooking)
}
