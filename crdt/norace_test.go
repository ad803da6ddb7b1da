//go:build !race

package crdt_test

import "math"

// raceShare is the part of a bound, as a divisor, that the race detector may add
// to it: none, as it is not there.
const raceShare = math.MaxInt64
