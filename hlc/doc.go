// Package hlc issues timestamps that follow physical time and respect
// causality: a hybrid logical clock in 64 bits.
//
// # Guarantees
//
//   - [Clock.Now] is strictly increasing, whatever the wall clock does and
//     however many goroutines call it.
//   - If a happened before b, the timestamp of a is less than that of b,
//     provided that every message's timestamp is passed to [Clock.Observe]
//     before anything that depends on the message is stamped.
//   - The order of timestamps is the order of their binary form and of their
//     text form.
//   - A clock made with [Config.After] at or above everything an earlier clock
//     issued never repeats one of its timestamps.
//
// # Limits
//
// A remote timestamp more than [Config.MaxDrift] ahead of the local wall clock
// is refused with [*DriftError] and does not move the clock. There is no bound
// towards the past: a timestamp from an old device is old, not wrong.
//
// Timestamps of different clocks may be equal; break ties by the writer's
// identity. A timestamp says nothing about causality by itself: of two events
// with a < b, either a happened before b or neither saw the other.
//
// The package reads no clock but the one it is given, keeps no files and starts
// no goroutines.
//
// Source: Kulkarni, Demirbas, Madappa, Avva, Leone, "Logical Physical Clocks",
// OPODIS 2014.
package hlc
