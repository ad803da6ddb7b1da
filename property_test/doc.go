// Package property states what must hold of every value and of every history,
// and lets gopter look for counterexamples. It holds tests only, and nothing
// imports it.
//
// # What is checked
//
//   - Laws: every lattice and combinator of package merge, and every type of
//     package crdt, over values that random histories produce.
//   - Deltas: merging what a mutator returned is running it; up to six deltas of
//     several replicas give one value, with one encoding, in every order,
//     grouping and repetition.
//   - Encodings: round trip, one encoding per value, no truncation, no tail.
//   - Specifications: each type, as a value, as cells and in operation form,
//     against the definition of its value over happened-before. What histories
//     and definitions are is written in package crdttest.
//
// The checks are themselves checked: at least one bug is planted in every type,
// and must be found and shrunk to a few steps.
//
// # Running
//
// Each property is tried JOINERY_CHECKS times, by default few enough for every
// push. For a campaign:
//
//	JOINERY_CHECKS=10000 go test -timeout 0 ./property_test
//
// takes about half an hour of one core: ten properties of each type, a
// millisecond a check.
//
// A failure prints the shrunk counterexample and the seed. JOINERY_SEED=n repeats
// the run of seed n, with the same number of checks.
package property
