package sync

import (
	"fmt"

	"github.com/joinery-crdt/joinery/merge"
)

// Version is the protocol version this package speaks, and MinVersion the
// oldest it understands.
const (
	Version    = 1
	MinVersion = 1
)

// A Frame is one message of the protocol. Package wire gives it bytes. Frames
// may be lost, repeated and reordered; what a link says next mends it.
type Frame interface{ frame() }

// Hello opens a link from each side.
type Hello struct {
	MinVersion, MaxVersion uint64
	Origin                 merge.Origin // of the sender
	Name                   string       // what people call the sender, may be empty
	// Former is origins under which the sender wrote before it noticed that it
	// had been restored or copied, ascending, at most MaxFormer.
	Former []merge.Origin
	// Features is what the sender knows, ascending, at most MaxFeatures.
	Features []string
	Clock    uint64 // the sender's wall clock in Unix milliseconds, 0 for not told
	Nonce    Nonce  // of this connection
}

// Welcome answers a Hello, and an Auth where one is asked for.
type Welcome struct {
	Version   uint64
	Heartbeat uint64 // interval of the sender's ticks in milliseconds, 0 for not told
	Until     uint64 // when the credential ends in Unix milliseconds, 0 for never
}

// Subscribe announces a space and asks for what its Vector lacks: rung 1b of
// the anti-entropy ladder. Repeating it starts over from the new vector.
type Subscribe struct {
	Space  string
	Vector *merge.VersionVector
	Known  []Known // of the receiver's origins, ascending
}

// Resume announces a space and asks for what came after a cut: rung 1a of the
// anti-entropy ladder. It is as good as a Subscribe with the vector of the cut,
// and as long whatever the size of the space.
type Resume struct {
	Space  string
	Cursor Cursor
	// Mark is the first 4 bytes of the hash of the last change of the receiver's
	// origin that the cut contains, 0 for none: a receiver that was restored has
	// another one there.
	Mark uint32
}

// Rewind answers a Resume with a cut that the sender does not know: say
// Subscribe.
type Rewind struct{ Space string }

// Subscribed answers a Subscribe or a Resume.
type Subscribed struct {
	Space   string
	Changes uint64  // that will be sent
	Known   []Known // of the receiver's origins, ascending
}

// Changes carries encoded changes of one space in an order in which they can be
// applied.
type Changes struct {
	Space   string
	Changes [][]byte
	// Position is the number of changes that the sender has applied, if it has
	// nothing more to send, else 0.
	Position uint64
}

// Ack says that changes are durable at the sender: per origin up to the dot.
type Ack struct {
	Space string
	Heads []merge.Dot
	// Position is as in Changes.
	Position uint64
}

// Nack says that a change was refused, and why. Only what depends on it waits.
type Nack struct {
	Space  string
	Dot    merge.Dot
	Code   string // of a published list: forked, future, rejected, …
	Class  string // retriable, needs-auth, needs-upgrade or fatal
	Reason string
	Hint   string // what to do
}

// Frontier is a heartbeat with the sender's state of one space.
type Frontier struct {
	Space   string
	Applied Fingerprint // of its version vector
	Cells   Fingerprint // of its cells
	Changes uint64      // applied in all
	Unread  uint64      // ops it cannot apply; while not 0, Cells is not comparable
}

// Ping asks for a Pong.
type Ping struct{ N uint64 }

// Pong answers a Ping.
type Pong struct{ N uint64 }

// Goodbye ends a link: the peer must not go on.
type Goodbye struct {
	Code   string // of a published list: protocol, needs_upgrade, needs_auth, self, shutdown
	Reason string
}

func (*Hello) frame()      {}
func (*Welcome) frame()    {}
func (*Subscribe) frame()  {}
func (*Resume) frame()     {}
func (*Rewind) frame()     {}
func (*Subscribed) frame() {}
func (*Changes) frame()    {}
func (*Ack) frame()        {}
func (*Nack) frame()       {}
func (*Frontier) frame()   {}
func (*Ping) frame()       {}
func (*Pong) frame()       {}
func (*Goodbye) frame()    {}

// A GoodbyeError is the end of a link, said by either side.
type GoodbyeError struct {
	Goodbye
	ByPeer bool
}

// Error says who ended the link and why.
func (e *GoodbyeError) Error() string {
	who := "this node"
	if e.ByPeer {
		who = "the peer"
	}
	return fmt.Sprintf("sync: %s ended the link (%s): %s", who, e.Code, e.Reason)
}
