package sync

import (
	"fmt"
	"time"
)

// Goaway ends a link for now: the sender serves the peer again later. It may
// come before the sender's hello.
type Goaway struct {
	Code   string // of a published list: draining, busy, renewed
	After  uint64 // milliseconds to wait before trying again; differs from peer to peer
	Reason string
}

// Queued says that the sender serves others first. The data follows by itself.
type Queued struct {
	Place uint64 // in the queue, from 1; 0 once it is the peer's turn
}

func (*Goaway) frame() {}
func (*Queued) frame() {}

// maxGoaway bounds how long a peer may send one away.
const maxGoaway = time.Hour

// A GoawayError is the end of a link that is worth trying again later.
type GoawayError struct {
	Goaway
	ByPeer bool
}

// Error says who ended the link, why and for how long.
func (e *GoawayError) Error() string {
	who := "this node"
	if e.ByPeer {
		who = "the peer"
	}
	return fmt.Sprintf("sync: %s ended the link for %v (%s): %s", who, e.Pause(), e.Code, e.Reason)
}

// Pause returns how long to wait before trying again, at most an hour.
func (e *GoawayError) Pause() time.Duration {
	return time.Duration(min(e.After, uint64(maxGoaway/time.Millisecond))) * time.Millisecond
}

// Goaway ends the link and asks the peer to come again later.
func (l *Link) Goaway(g Goaway) Ready {
	return Ready{Send: []Frame{&g}, Err: &GoawayError{g, false}}
}

// Queued returns the peer's word on how many it serves before this side, 0 for
// none.
func (l *Link) Queued() uint64 { return l.queued }
