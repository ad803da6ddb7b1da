//go:build race

package columns_test

// raceDetector makes these tests twenty times slower and has nothing to find: a
// table belongs to one goroutine.
const raceDetector = true
