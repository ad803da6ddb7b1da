//go:build race

package node_test

// raced is how many times as large a stack is that the race detector watches.
const raced = 2
