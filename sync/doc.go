// Package sync is the pure core of replication: changes and their byte form,
// spaces of cells under one causal context, causal delivery, and links, the
// state machines that two connected nodes run. It is always imported as
// crdtsync, because the standard library keeps the bare name.
//
// It has no clock, socket, disk, lock, goroutine or randomness: the same inputs
// give the same outputs. A driver (package sync/node, or the simulator in
// sync/simnet) feeds it frames and ticks, makes durable what it says must be
// durable, and sends what it says may be sent.
//
// # The path of a change
//
// [Stage.Author] turns a transaction into a [Change]. The driver persists what
// [Stage.Persist] lists and only then calls [Stage.Commit]. [Link.Moved] tells
// each link, [Link.Next] takes the change from the log into a [Changes] frame,
// the peer's [Link.Step] hands it to its driver, and [Stage.Offer] applies it
// there once everything it depends on is applied.
//
// # Guarantees
//
//   - Changes of one origin apply in order without gaps, each exactly once, and
//     after everything their author had seen.
//   - A change applies whole or not at all.
//   - Spaces that have applied the same changes hold the same cells, byte for
//     byte, and have the same [Fingerprint].
//
// Values are not safe for concurrent use unless they say so.
package sync
