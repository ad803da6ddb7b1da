// Package crdt is the replicated types: sets, counters, flags and registers that any
// number of replicas change without asking each other, and that end equal when
// they have seen the same changes.
//
// Each type exists stand-alone, as a value that an application merges and
// encodes itself ([GSet], [TwoPSet], [ORSet], [RWSet], [PNCounter],
// [GCounter], [BoundedCounter], [EWFlag], [DWFlag], [LWWRegister],
// [MVRegister], [USet], [LWWSet], [RemoveBiasedLWWSet], [PNSet], [LWWMap]), and
// as a [Kind], which keeps the objects of a node's space as small cells. Both
// forms call the same joins. [NewLatticeKind] makes a Kind of any other lattice.
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
// # Elements and values
//
// The zero value of each type is ready to use. Stand-alone values are not safe
// for concurrent mutation.
//
// Sets keep their elements as Go map keys and encode them as canonical CBOR
// (RFC 8949, section 4.2) of at most [MaxElement] bytes. Equal elements must
// have equal encodings that decode to the same element: strings, integers,
// booleans, and arrays and structs of these do, as does a type with its own
// encoding that keeps to it. MarshalBinary refuses all others, among them
// pointers, structs with unexported state, text that is not UTF-8, -0, and an
// int in a set of any, which comes back as a uint64. As in a Go map, NaN is
// never found, and an element of an interface type that holds an incomparable
// value panics.
//
// Registers keep their value as canonical CBOR from the start and refuse at once
// what has none.
//
// # Limits
//
// Decoding allocates at most 64 times the input and 1 MiB, plus what the type of
// the elements or values takes to decode, and 256 bytes for each field of an
// [ORMap]. The binary form is in docs/format.md.
//
// An origin has 2^60 changes, which is the largest number that a decoder takes.
//
// Source: Shapiro et al., INRIA RR-7506, 2011; Almeida, Shoker, Baquero, "Delta
// State Replicated Data Types", 2018.
package crdt
