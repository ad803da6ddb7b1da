// Package object refers to objects that are kept as cells: a typed reference is
// a key, a type and nothing else, and it reads and writes any space that
// implements the interfaces of this package: a snapshot or a transaction of a
// node (package sync/node), a replica in operation form (package crdt/op), and a
// field of a map, which is a part of the map's cells.
//
//	tags := object.NewORSet[string]("tags")
//	err := tags.Add(tx, "home")
//	has, err := tags.Has(tx, "home")
//
// # Guarantees
//
//   - A reference is a value: copying it is cheap, any goroutine may use it, and
//     the object exists by being named.
//   - What a transaction does to one cell is one op, however often it writes:
//     it supersedes what was there before the transaction, and its last state is
//     what is joined everywhere.
//   - A method that fails makes its transaction fail, even if the error is
//     ignored.
//
// # Types of your own
//
// Embed a [Ref] made by [NewRef] and write the methods over [Ref.Reader] and
// [Ref.Writer], as the types of this package do.
package object
