//go:build !race

package columns_test

const raceDetector = false
