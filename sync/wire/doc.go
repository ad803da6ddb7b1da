// Package wire gives the frames of package sync their bytes, and defines what
// carries them: connections, an in-memory pair of them, and drop files.
//
// A frame is
//
//	type byte | flags byte | body
//
// where the body is a CBOR map (RFC 8949, core deterministic encoding) from
// field numbers to unsigned integers, text, byte strings and arrays of byte
// strings. The full description is in docs/protocol.md.
//
// # Guarantees
//
//   - One frame has one encoding: [Decode] accepts exactly what [Append] writes.
//   - [Decode] panics on no input and takes memory in proportion to it.
//   - No frame is longer than [MaxFrame].
//
// The package has no clock, socket, disk or goroutine.
package wire
