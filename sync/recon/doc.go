// Package recon finds what two sets lack of each other, for little more than
// the size of the difference and whatever the size of the sets.
//
// A [Sketch] is the prefix of an endless sequence of coded symbols, each the sum
// of a share of the items. The difference of the sketches of two sets is the
// sketch of their difference, and a [Decoder] takes items off it until nothing
// is left. It needs 1.35 to 1.4 symbols a difference when there are many, some
// more when there are few, wherever the differences lie: 15.1 bytes for items of
// 64 bits and 9.6 for items of 32 bits.
//
// A [Search] narrows down where two ordered sets differ by comparing sums over
// ranges of keys. It costs bytes for each place rather than for each difference,
// and no set of items makes it fail. An [Index] answers it.
//
// # Guarantees
//
//   - A decoder that is done has found the exact difference, but for a chance
//     below 2^-50 that nobody who does not know the [Key] can improve on.
//   - What a peer sends costs time and memory in proportion to its bytes, and
//     ends in a result or an error.
//   - Everything has one byte form, and readers refuse all others.
//
// Nothing here knows what the items stand for. Who applies a result compares
// wide fingerprints of the sets at the end.
//
// Sources: Yang, Gilad and Alizadeh, "Practical Rateless Set Reconciliation",
// SIGCOMM 2024, from which the positions of items are; unlike theirs a symbol
// here carries no count, because sums that are not exclusive-ors show on which
// side an item is. Meyer, "Range-Based Set Reconciliation", SRDS 2023. Aumasson
// and Bernstein, "SipHash: a fast short-input PRF", INDOCRYPT 2012.
//
// Values are not safe for concurrent use unless they say so.
package recon
