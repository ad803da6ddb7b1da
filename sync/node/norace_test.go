//go:build !race

package node_test

const raced = 1
