// Package mergetest checks that a type keeps the laws of package merge, so that
// the author of a replicated type can prove it before shipping it.
//
// # What is checked
//
//   - [Laws]: the laws of a join-semilattice, and what [merge.Lattice] promises
//     about arguments, clones and change reports.
//   - [Chain]: the laws of a total order that agrees with Merge.
//   - [Deltas] and [Orders]: mutators that return deltas, and deltas merged in
//     every order, grouping and repetition.
//   - [Codec]: a binary form with one encoding per value.
//
// Each checker takes a few values and returns nil or a [*LawError] that shows
// the counterexample; none of them takes a [testing.T]. Call them in a loop over
// random values, or over all triples of a handful of well-chosen ones.
//
// # Limits
//
// A nil answer is about the values given and no others. Values are compared
// before and after by walking their memory, so they should be small.
package mergetest
