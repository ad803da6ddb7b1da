package simnet

// A Fault is something that the simulator does to a run, or sees come of it.
type Fault uint8

// The faults and what they lead to, in the order of Coverage.
const (
	FaultLoss Fault = iota
	FaultDup
	FaultReorder
	FaultOverflow
	FaultPartition
	FaultPartitionLoss
	FaultReset
	FaultHalfOpen
	FaultSentAway
	FaultSilence
	FaultPause
	FaultCrash
	FaultCrashBefore
	FaultCrashAfter
	FaultCrashAck
	FaultCrashAmid
	FaultRestore
	FaultRollback
	FaultClone
	FaultRetire
	FaultTruncate
	FaultTrim
	FaultDismiss
	FaultDiskFull
	FaultJumpAhead
	FaultJumpBack
	FaultBatch
	FaultDamage
	SeenDuplicate
	SeenEarly
	SeenFull
	SeenFuture
	SeenUnread
	SeenReread
	SeenTie
	SeenFork
	SeenRollback
	SeenSevered
	SeenTakenBack
	SeenMoved
	SeenTurnedAway
	SeenSessionLost
	SeenGossip
	SeenReach
	SeenMeeting
	SeenResume
	SeenRewind
	SeenGraft
	SeenWhole
	SeenPart
	SeenResumed
	SeenNamed
	SeenUnnamed
	SeenFragmented
	SeenPartial
	SeenHeldBack
	SeenLong
	SeenHealTicks // the largest number, not a sum
	numFaults
)

var faultNames = [numFaults]string{
	"frames lost", "frames repeated", "frames that overtook", "frames pushed out of flight",
	"partitions", "frames lost in partitions", "connections reset", "connections half-open", "peers sent away", "peers taken for dead",
	"pauses", "crashes between events", "crashes before a commit, with unsynced data lost", "crashes after a commit", "crashes after an acknowledgement", "crashes between two peers",
	"backups restored", "disks that took back what was durable", "stores copied to another node", "nodes retired for new ones", "logs truncated", "logs truncated to what all have", "members retired or taken back", "commits on a full disk", "clock jumps ahead", "clock jumps back", "commits shared with a peer's changes", "cells damaged at rest",
	"duplicates offered", "early changes", "early changes without room", "changes from the future", "ops of unknown kinds", "ops read after an upgrade",
	"equal stamps", "dots that name two changes", "nodes that mended it", "origins severed", "changes written again under another origin", "visits of clients that move", "clients turned away", "sessions whose reads or writes are lost",
	"news of members told", "judgements of tiers", "cursors noted with their changes", "links resumed from a cursor", "cursors that the peer did not know", "pruned links grafted when another ended",
	"whole snapshots merged", "snapshots of what was written to merged", "snapshots resumed", "cells named by ops", "names of cells that said nothing",
	"changes put together from fragments", "changes in fragments that went on where they were", "changes held back from a node without fragments", "frames put together from pieces",
	"heartbeats to level out, at most",
}

// String names the fault.
func (f Fault) String() string { return faultNames[f] }

// A Coverage counts how often each fault really happened.
type Coverage [numFaults]int

// Add adds the counts of o.
func (c *Coverage) Add(o *Coverage) {
	for f, n := range o {
		if Fault(f) == SeenHealTicks {
			c[f] = max(c[f], n)
		} else {
			c[f] += n
		}
	}
}

// Absent returns the faults that never happened.
func (c *Coverage) Absent() (absent []Fault) {
	for f, n := range c {
		if n == 0 {
			absent = append(absent, Fault(f))
		}
	}
	return absent
}
