// Package crdt is the replicated types: sets, counters and registers that any
// number of replicas change without asking each other, and that end equal when
// they have seen the same changes.
//
// Each type exists stand-alone, as a value that an application merges and
// encodes itself ([GSet], [TwoPSet], [ORSet], [RWSet], [PNCounter],
// [LWWRegister], [MVRegister]), and as a [Kind], which keeps the objects of a
// node's space as small cells. Both forms call the same joins.
//
// # Guarantees
//
//   - Merge is commutative, associative, idempotent and total, and neither
//     modifies nor retains its argument.
//   - A mutator changes its receiver and returns the delta, a value of the same
//     type; merging deltas in any order, grouping and repetition gives the
//     state.
//   - Merging a delta costs O(|delta|).
//   - Equal states have equal bytes.
//
// # Limits
//
// The zero value of each type is ready to use. Stand-alone values are not safe
// for concurrent mutation. Elements and values are kept as canonical CBOR
// (RFC 8949, section 4.2), at most [MaxElement] bytes for what is a key.
//
// Source: Shapiro et al., INRIA RR-7506, 2011; Almeida, Shoker, Baquero, "Delta
// State Replicated Data Types", 2018.
package crdt
