package hlc

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// The kinds of error. Each is what [errors.Is] finds in the struct that carries
// the facts.
var (
	// ErrDrift is the kind of [*DriftError].
	ErrDrift = errors.New("hlc: timestamp too far ahead")
	// ErrFormat is the kind of [*FormatError].
	ErrFormat = errors.New("hlc: malformed timestamp")
	// ErrRange is the kind of [*RangeError].
	ErrRange = errors.New("hlc: time out of range")
	// ErrConfig is the kind of [*ConfigError].
	ErrConfig = errors.New("hlc: bad configuration")
)

// A DriftError refuses a remote timestamp that lies too far ahead of the local
// wall clock. The clock has not moved.
type DriftError struct {
	Remote Timestamp     // what was refused
	Wall   Timestamp     // the local wall clock when it was refused, counter 0
	Max    time.Duration // how far ahead would have been accepted
}

// Ahead returns how far Remote lies ahead of Wall, to the millisecond. Beyond
// 292 years it returns the largest duration.
func (e *DriftError) Ahead() time.Duration {
	const most = int64(1<<63-1) / int64(time.Millisecond)
	return time.Duration(min(e.Remote.Millis()-e.Wall.Millis(), most)) * time.Millisecond
}

// Error names both clocks and what to do.
func (e *DriftError) Error() string {
	return fmt.Sprintf(
		"hlc: timestamp %s (%s) is %s ahead of the local clock (%s), more than the %s allowed: correct the clock that is wrong",
		e.Remote, e.Remote.Time().Format(time.RFC3339), e.Ahead(), e.Wall.Time().Format(time.RFC3339), e.Max)
}

// Unwrap returns [ErrDrift].
func (e *DriftError) Unwrap() error { return ErrDrift }

// A FormatError says why bytes or text are not a timestamp.
type FormatError struct {
	Input   string // the start of the text; empty for binary input
	Problem string
}

// Error quotes the input and says what was expected.
func (e *FormatError) Error() string {
	if e.Input == "" {
		return "hlc: malformed timestamp: " + e.Problem
	}
	return fmt.Sprintf("hlc: malformed timestamp %q: %s", e.Input, e.Problem)
}

// Unwrap returns [ErrFormat].
func (e *FormatError) Unwrap() error { return ErrFormat }

func textError(s, problem string) error {
	shown := strings.Clone(s[:min(len(s), 2*TextLen)])
	return &FormatError{Input: shown, Problem: problem + ", want 16 lower-case hexadecimal digits"}
}

func binaryError(length int) error {
	return &FormatError{Problem: fmt.Sprintf("it has %d bytes, want %d", length, BinaryLen)}
}

// A RangeError reports a time that a [Timestamp] cannot hold or a [Clock]
// cannot start from.
type RangeError struct {
	Millis int64 // the time, Unix milliseconds
}

// Error names the time and the range.
func (e *RangeError) Error() string {
	return fmt.Sprintf("hlc: Unix millisecond %d is out of range: a timestamp holds 0 to %d, and a clock starts at %d at most",
		e.Millis, int64(MaxMillis), int64(maxIssued))
}

// Unwrap returns [ErrRange].
func (e *RangeError) Unwrap() error { return ErrRange }

// A ConfigError names the field of a [Config] that cannot be used.
type ConfigError struct {
	Field   string
	Problem string
}

// Error names the field and what to set instead.
func (e *ConfigError) Error() string {
	return fmt.Sprintf("hlc: Config.%s %s", e.Field, e.Problem)
}

// Unwrap returns [ErrConfig].
func (e *ConfigError) Unwrap() error { return ErrConfig }
