package simnet

import "slices"

// A Mutant is a system with one planted bug. It differs from the real one in a
// kind, or in what the simulated driver does around the core.
type Mutant struct {
	Name string
	What string // what is wrong with it
	bugs bugs
}

// bugs is what a mutant does wrong.
type bugs struct {
	joins map[string]badJoin // by kind
	merge badMerge           // of all kinds

	// In how offered changes are applied.
	swallowGaps, ignoreDeps, applyAgain, applyEcho, noLimit, unboundedWaiting bool
	// In how changes are made.
	increments, forgetShare, forgetDeps, seeNothing, deafClock, staleClock bool
	// In the order of what is made durable and what is said.
	ackFirst, sendFirst, sayFirst, tornCommit, keepPrint bool
	// In what is sent, and in the machine.
	trustPrint, mendBlindly, sendRemovalsOnce, askOnce, keepOrigin, mapOrder, admitReads, admitWrites bool
	// In what is done without the log.
	floorAhead, missTouched, halfSnapshot, skipNames, nextOp bool
	// In cursors.
	cursorFirst, bareCursor bool
	// In fragments.
	claimMore bool
	// In what is said of members, and done because of it.
	guessIsProof, forgetMember, retiredCounts, endlessLease, untoldMembers, anyHub, ownForTheirs, trimOwn bool
	// In forks.
	renameOnly, secretForks bool
	// In acknowledgements and snapshots.
	ackWaiting, noHeads bool
}

// Mutants returns the mutants, in a slice of the caller's own.
func Mutants() []*Mutant {
	return slices.Concat(kindMutants(), coreMutants(), driverMutants(), memberMutants())
}

// MutantNamed returns the mutant of that name, nil if there is none.
func MutantNamed(name string) *Mutant {
	all := Mutants()
	i := slices.IndexFunc(all, func(m *Mutant) bool { return m.Name == name })
	if i < 0 {
		return nil
	}
	return all[i]
}

// OperationCounter is no mutant but the control of two: a counter whose writes
// are increments is right as long as each is applied exactly once.
func OperationCounter() *Mutant {
	return &Mutant{"operation-counter", "counter writes are increments, applied exactly once", bugs{
		joins: map[string]badJoin{pncounter: addIncrement}, increments: true,
	}}
}

func kindMutants() []*Mutant {
	kind := func(name, what, kind string, join badJoin) *Mutant {
		return &Mutant{name, what, bugs{joins: map[string]badJoin{kind: join}}}
	}
	return []*Mutant{
		kind("add-wins-removes-all", "a remove deletes adds that it has not seen", orset, removeAll),
		kind("remove-wins-loses-remove", "a remove deletes the adds it has seen and leaves nothing behind", rwset, loseRemove),
		kind("two-phase-resurrects", "an add brings a removed element back", twopset, resurrect),
		kind("register-keeps-one", "a concurrent write replaces the others", mvregister, keepOne),
		kind("lww-tie-by-arrival", "of two writes with equal stamps the one that arrives last wins", lww, latestArrival),
		kind("reset-zeroes-concurrent", "a reset also takes increments that it has not seen", pncounter, zeroAll),
	}
}

func coreMutants() []*Mutant {
	counted := func(b bugs) bugs {
		b.increments, b.joins = true, map[string]badJoin{pncounter: addIncrement}
		return b
	}
	return []*Mutant{
		{"vector-context", "a change that came before its predecessors counts for all of them", bugs{swallowGaps: true}},
		{"no-causal-delivery", "a change applies before what its author had seen", bugs{ignoreDeps: true}},
		{"no-dedupe", "a change that comes again applies again, to a counter of increments", counted(bugs{applyAgain: true})},
		{"echo-of-own", "a node applies its own changes again when they come back", counted(bugs{applyEcho: true})},
		{"no-drift-limit", "changes from the future apply", bugs{noLimit: true}},
		{"unbounded-waiting", "any number of changes may wait", bugs{unboundedWaiting: true}},
		{"forgets-dependencies", "after a restart a change does not depend on what was applied before it", bugs{forgetDeps: true}},
		{"deaf-clock", "the clock does not advance over what is received", bugs{deafClock: true}},
		{"stale-clock", "after a restart the clock starts at the wall clock", bugs{staleClock: true}},
	}
}

func driverMutants() []*Mutant {
	return []*Mutant{
		{"acknowledges-before-commit", "the writer is told before its change is durable", bugs{ackFirst: true}},
		{"sends-before-commit", "peers get a change before it is durable", bugs{sendFirst: true}},
		{"confirms-before-commit", "the peer is told that a change is durable before it is", bugs{sayFirst: true}},
		{"torn-commit", "cells are written in a transaction after that of the log", bugs{tornCommit: true}},
		{"fingerprint-misses-deletes", "the fingerprint keeps cells that were deleted", bugs{keepPrint: true}},
		{"removal-sent-once", "a change that only removes is never sent a second time", bugs{sendRemovalsOnce: true}},
		{"asks-once", "a link never repeats its question", bugs{askOnce: true}},
		{"forgets-share", "after a restart a node counts from zero", bugs{forgetShare: true}},
		{"remove-sees-nothing", "a remove does not name what it removes", bugs{seeNothing: true}},
		{"restored-under-old-origin", "a restored backup goes on under its old origin", bugs{keepOrigin: true}},
		{"cursor-before-data", "the cursor of changes is durable before they are", bugs{cursorFirst: true}},
		{"position-reused", "a cursor is a number, which a node that was restored reaches a second time", bugs{bareCursor: true}},
		{"session-forgets-reads", "a node serves a client that has read more elsewhere", bugs{admitReads: true}},
		{"session-forgets-writes", "a node serves a client that has written more elsewhere", bugs{admitWrites: true}},
		{"trusts-the-fingerprint", "an audit leaves the fingerprint as it is beside the cells", bugs{trustPrint: true}},
		{"mends-blindly", "cells are mended without asking the log", bugs{mendBlindly: true}},
		{"snapshot-forgets-removals", "what the sender of a snapshot has removed stays", bugs{merge: keepRemoved}},
		{"snapshot-drops-unsent", "a snapshot replaces cells, with what was written here and not sent", bugs{merge: replaceMine}},
		{"snapshot-in-halves", "the heads of a snapshot are durable before its cells", bugs{halfSnapshot: true}},
		{"floor-beyond-log", "a truncated log is said to lack more than was taken out", bugs{floorAhead: true}},
		{"part-misses-cells", "a cell that was written to is not sent with the others", bugs{missTouched: true}},
		{"names-left-out", "a cell whose name says nothing to the receiver is left as it is", bugs{skipNames: true}},
		{"name-of-another", "a cell of a change is taken for the one that is named", bugs{nextOp: true}},
		{"resumes-too-far", "a node says of a change in fragments that it has more than it has", bugs{claimMore: true}},
		{"map-order", "the order of a map's iteration reaches the network", bugs{mapOrder: true}},
	}
}

func memberMutants() []*Mutant {
	return []*Mutant{
		{"as-many-are-the-same", "a peer with as many changes counts as having the same", bugs{guessIsProof: true}},
		{"frontier-forgets-a-member", "the frontier does not wait for one of the members", bugs{forgetMember: true}},
		{"retired-counts", "a retired member is waited for, and counts as a copy", bugs{retiredCounts: true}},
		{"lease-never-ends", "a member that is gone is waited for for ever", bugs{endlessLease: true}},
		{"members-untold", "nobody is told of the members that others have met", bugs{untoldMembers: true}},
		{"everybody-is-a-hub", "any member counts as a hub", bugs{anyHub: true}},
		{"own-for-theirs", "a node tells of members that they have what it has itself", bugs{ownForTheirs: true}},
		{"trims-to-its-own", "the log is cut to what is here and not to what all have", bugs{trimOwn: true}},
		{"renames-only", "a node that was set back takes a new origin and leaves what it wrote since under the old one", bugs{renameOnly: true}},
		{"forks-kept-secret", "what proves a fork is neither used nor told", bugs{secretForks: true}},
		{"acknowledges-what-waits", "a change that came early is acknowledged like one that is durable", bugs{ackWaiting: true}},
		{"snapshot-without-heads", "a snapshot brings cells and not what is in them", bugs{noHeads: true}},
	}
}
