// Package columns keeps the live dots of a large add-wins set in a few arrays
// without pointers, so that an element costs a few dozen bytes, a change a few
// cache misses, and the garbage collector nothing.
//
// A [Table] says the same as a merge.DotMap whose keys are encoded elements and
// whose values are empty: the same joins give the same dots at the same keys
// under the same context. package crdt uses the map for small sets and the table
// for large ones, and tests hold each to the other.
//
// # Layout
//
//   - The keys stand one after the other in chunks, in the order in which they
//     came. They are items of canonical CBOR, of which none begins another, so
//     their lengths need not be kept.
//   - A slot per key holds its place and its dot, packed into 64 bits: a number
//     for the origin and the sequence number. The few dots that do not fit, and
//     the keys with several concurrent dots, are kept in tables of their own.
//   - An open-addressing index of 32 bits of hash and a slot finds a key. The hash
//     has a random seed, so that nobody can send keys that collide; nothing that
//     leaves the package depends on it.
//   - Per origin, pages of 64 sequence numbers say which slot a dot is in, as an
//     offset while they ascend together.
//
// A removed key stays in its slot, without a dot, until half of the slots are
// dead; then the table is rewritten.
package columns
