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
//     came, each in a record behind its length and its dot, packed into 64 bits:
//     a number for the origin and the sequence number. The few dots that do not
//     fit, and those of keys with several, are kept in tables of their own.
//   - An open-addressing index of 32 bits of hash and a record finds a key. The hash
//     has a random seed, so that nobody can send keys that collide; nothing that
//     leaves the package depends on it.
//   - Per origin, pages of 64 sequence numbers say which of them are live and in
//     which records, without a list while these ascend evenly.
//
// A removal touches the page of a dot alone, which is near at hand, and not the
// record, which is not: the record keeps the dot, and whoever reads it asks the
// page. A removed key stays where it is until half of the records are dead; then
// the table is rewritten.
package columns
