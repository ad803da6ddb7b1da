// Package simnet simulates whole systems of nodes: the pure core of package
// sync, the store contract and the wire format, on a network and on machines
// that misbehave, in one goroutine and in virtual time.
//
// # How a run goes
//
// A seed draws [Knobs]: how many nodes, which faults are on and how strong,
// which types the workload favours. Then it draws one [Step] after the other: a
// local transaction, the delivery of one frame, a tick, a crash, a partition, a
// clock that jumps. What was drawn is a list of self-contained steps, so that a
// failing run can be replayed and cut down to the few steps that matter
// ([Shrink]). At the end everything is healed and the nodes have a bounded
// simulated time to come to rest.
//
// # What judges a run
//
// The simulator records what each author had applied when it wrote, from what
// was committed and never from the contexts that nodes keep, and evaluates the
// meaning of each type naively over that history. It also compares the bytes of
// all nodes, recomputes fingerprints, and watches sessions, causal order,
// durability, liveness and the bounds of buffers. The oracles are listed at
// [Oracle].
//
// # Planted bugs
//
// [Mutants] are systems with one known bug each. A campaign that does not find
// them is no evidence for the real one.
//
// # Guarantees
//
// The same seed, options and code give the same run: there is no clock, no
// other randomness and no order of map iteration in it. A campaign runs seeds
// in parallel, each run alone in its goroutine.
package simnet
