package node

import (
	"fmt"
	"sync/atomic"
	"time"

	"github.com/joinery-crdt/joinery/sync/node/internal/pace"
)

// suspectPhi is the suspicion from which on a peer is shown as suspect.
const suspectPhi = 8

// vitals is what a node observes of a connected peer, for its status only.
type vitals struct {
	detector *pace.Detector // guarded by peerLink.mu
	sending  atomic.Int64   // when the frame that is being sent was begun, in ns since 1970; 0 for none
	lined    atomic.Bool    // the link waits for its turn to send much
	inside   atomic.Bool    // it is its turn
	// A tick has told the peer its place in line.
	placeTold atomic.Bool
}

// began notes that a frame is being sent.
func (v *vitals) began() { v.sending.Store(time.Now().UnixNano()) }

func (v *vitals) sent() { v.sending.Store(0) }

// stalled returns how long the peer has not taken a frame.
func (v *vitals) stalled(now time.Time) time.Duration {
	if began := v.sending.Load(); began != 0 {
		return now.Sub(time.Unix(0, began))
	}
	return 0
}

// addVitals says how lively the peer of a link is. The caller holds l.mu.
func (l *peerLink) addVitals(ps *PeerStatus) (problems []Problem) {
	now := time.Now()
	ps.Phi = l.vitals.detector.Phi(now)
	ps.Suspect = ps.Phi >= suspectPhi
	ps.Place = l.core.Queued()
	silence := now.Sub(l.vitals.detector.Last()).Round(time.Millisecond)
	if ps.Suspect {
		problems = append(problems, Problem{
			Code: "peer_suspect", Peer: ps.Address,
			Cause: fmt.Sprintf("no heartbeat for %v, where one comes every %v (phi %.0f)",
				silence, l.vitals.detector.Interval().Round(time.Millisecond), ps.Phi),
			Action: "check the network between the two and that the peer runs; the link is given up if it stays silent, and made again",
		})
	}
	if stalled := l.vitals.stalled(now); stalled >= l.node.cfg.Heartbeat {
		problems = append(problems, Problem{
			Code: "peer_stalled", Peer: ps.Address,
			Cause:  fmt.Sprintf("the peer has taken nothing for %v; what it lacks waits in the log", stalled.Round(time.Millisecond)),
			Action: "look at the peer: it hangs, or its network takes nothing; all others flow",
		})
	}
	if ps.Place > 0 {
		problems = append(problems, Problem{
			Code: "queued", Peer: ps.Address,
			Cause:  fmt.Sprintf("the peer serves others first: place %d in its queue", ps.Place),
			Action: "none: it begins by itself",
		})
	}
	return problems
}

// clockSlack is how far back the wall clock may go before it is worth a word.
const clockSlack = time.Second

// clockProblem reports a wall clock that is behind what this node has stamped.
func (n *Node) clockProblem() (Problem, bool) {
	wall := n.cfg.Now()
	behind := n.clock.Last().Time().Sub(wall)
	back := time.Since(n.opened) - wall.Sub(n.openedWall)
	if behind <= n.cfg.MaxDrift && (back <= clockSlack || behind <= clockSlack) {
		return Problem{}, false
	}
	return Problem{
		Code: "clock_behind",
		Cause: fmt.Sprintf("the clock of this device shows %s, %v before the newest change here: it was set back, or is wrong",
			wall.UTC().Format(time.RFC3339), behind.Round(time.Second)),
		Action: "set the clock; changes keep their order meanwhile, but those of others may be held back as coming from the future",
	}, true
}
