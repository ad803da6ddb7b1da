//go:build race

package crdt_test

// raceShare is the part of a bound, as a divisor, that the race detector may add
// to it: it makes allocations larger.
const raceShare = 4
