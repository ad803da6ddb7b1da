//go:build race

package simnet_test

// raceDetector makes everything some eight times slower and has little to find
// here: a run is one goroutine.
const raceDetector = true
