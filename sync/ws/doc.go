// Package ws carries frames over WebSocket (RFC 6455): one binary message per
// frame, under the subprotocol [Subprotocol].
//
// A [Dialer] opens connections from a device, [Accept] takes them in an
// http.Handler. Both give a [wire.Conn].
//
// # Guarantees
//
//   - No message over [wire.MaxFrame] is read into memory.
//   - Every failed handshake is a [*HandshakeError] that says what to do, and
//     whether trying again can help.
//
// # Limits
//
// WebSocket's own compression is never used. A context that ends during Send or
// Recv closes the connection, because a message cannot be taken back half-way.
package ws
