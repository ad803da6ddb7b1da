// Package merge is the algebra under every replicated type: join-semilattices,
// the combinators that build larger ones, dots and causal contexts, and the
// joins of dot stores, each written once.
//
// # Reading order
//
// [Lattice] is the contract. [Max], [Min], [Pair], [Lex] and [Map] build
// lattices out of lattices. [Dot] names one change; [VersionVector] and
// [Context] say which changes have been seen. [DotFun] is the smallest store
// whose entries can be removed without tombstones, and [DotMap] keeps many of
// them under one context.
//
// # Guarantees
//
//   - Merge is commutative, associative, idempotent and total; it never
//     modifies or retains its argument.
//   - Merging a delta costs O(|delta|), whatever the size of the receiver.
//   - Equal values have equal bytes.
//
// # Limits
//
// Values are not safe for concurrent mutation. Trust ends at decoding: the
// Decode functions refuse what no encoder writes, and Merge assumes what they
// let through.
//
// Source: Shapiro et al., "A comprehensive study of Convergent and Commutative
// Replicated Data Types", INRIA RR-7506, 2011; Almeida, Shoker, Baquero, "Delta
// State Replicated Data Types", JPDC 2018.
package merge
