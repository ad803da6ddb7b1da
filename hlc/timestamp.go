package hlc

import (
	"cmp"
	"time"
)

const (
	// MaxMillis is the largest millisecond that a [Timestamp] holds, in the year 10889.
	MaxMillis = 1<<48 - 1

	// Max is the largest Timestamp. No clock issues it.
	Max Timestamp = 1<<64 - 1

	counterBits = 16
	counterMask = 1<<counterBits - 1
)

// A Timestamp is a point in hybrid logical time: the upper 48 bits are Unix
// milliseconds, the lower 16 a counter that orders events of one millisecond.
// Timestamps compare as integers. The zero Timestamp is before all that a clock
// issues and stands for "never".
type Timestamp uint64

// New returns the timestamp of a Unix millisecond and a counter. A millisecond
// below 0 gives (0, 0) and one above [MaxMillis] gives [Max]; use [FromTime] to
// be told instead.
func New(millis int64, counter uint16) Timestamp {
	if millis < 0 {
		return 0
	}
	if millis > MaxMillis {
		return Max
	}
	return Timestamp(millis)<<counterBits | Timestamp(counter)
}

// FromTime returns the timestamp of t's millisecond with counter 0. A time
// before 1970 or after [MaxMillis] gives [*RangeError].
func FromTime(t time.Time) (Timestamp, error) {
	millis := t.UnixMilli()
	if millis < 0 || millis > MaxMillis {
		return 0, &RangeError{Millis: millis}
	}
	return New(millis, 0), nil
}

// Millis returns the Unix time in milliseconds, from 0 to [MaxMillis].
func (t Timestamp) Millis() int64 { return int64(t >> counterBits) }

// Counter returns the counter within the millisecond.
func (t Timestamp) Counter() uint16 { return uint16(t & counterMask) }

// Time returns the millisecond as a time in UTC, without the counter.
func (t Timestamp) Time() time.Time { return time.UnixMilli(t.Millis()).UTC() }

// Compare returns -1 if t is before u, 0 if they are equal, +1 if t is after u.
func (t Timestamp) Compare(u Timestamp) int { return cmp.Compare(t, u) }

// Before reports whether t is less than u.
func (t Timestamp) Before(u Timestamp) bool { return t < u }
