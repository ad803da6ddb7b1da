// Package op is the operation-based form of the replicated types: a replica
// sends what each transaction did to the cells, once, and everybody applies it
// once, after everything that its author had seen.
//
//	a := op.NewReplica(op.Config{Self: origin})
//	tags := object.NewORSet[string]("tags")
//	msg, err := a.Do(now, func(tx object.Tx) error { return tags.Add(tx, "home") })
//	delivered, err := b.Receive(msg)
//
// Do is the prepare of the literature: it runs at the source, reads its state and
// yields a [Message], whose effect it applies there at once. Receive is the
// effect everywhere else. Both go through [crdt.Kind], so every kind has this
// form, those of an application too, and it agrees with the state that merges.
//
// A transport may lose, repeat and reorder messages. A [Delivery] turns that into
// exactly-once causal delivery; a Replica has one, and it serves other messages
// as well.
//
// # Guarantees
//
//   - A message is applied once, after its author's earlier ones and everything
//     they had seen, however often and in whatever order it arrives.
//   - Replicas that have applied the same messages are equal byte for byte.
//   - What waits is bounded. A message for which there is no room is refused,
//     visibly, and [Delivery.Missing] says what to ask for again.
//   - A message is called stable once, when every known member has it;
//     [Delivery.Blocking] names those that have not.
//   - A message that cannot be right is a typed error and changes nothing.
//
// # Limits
//
// A loss is repaired by whoever asks for it: Missing sees the gaps before what
// has arrived, and a vector from a peer ([Delivery.Acknowledge]) shows the rest.
//
// Two messages under one dot, which only a copied or restored replica sends, are
// not told apart here. Spaces (package sync) chain their changes by hash and do.
//
// The package is pure: no clock, no goroutine, no randomness. Its values are not
// safe for concurrent use.
//
// Source: Shapiro et al., INRIA RR-7506, 2011 (operation-based objects); Baquero,
// Almeida, Shoker, "Making Operation-Based CRDTs Operation-Based", DAIS 2014, and
// "Pure Operation-Based Replicated Data Types", 2017 (causal stability); Birman,
// Schiper, Stephenson, "Lightweight Causal and Atomic Group Multicast", TOCS 1991.
package op
