package simnet

// A Verb is what a step does.
type Verb uint8

// The verbs. Node acts; where two are concerned, Peer is the other.
const (
	Write    Verb = iota // Node runs a transaction of its own client
	Call                 // the Nth of the clients that move reads at Node, and writes if there are Ops
	Deliver              // Node receives the Nth frame in flight from Peer
	Repeat               // as Deliver, and the frame stays in flight
	Drop                 // that frame is lost
	Tick                 // a heartbeat of Node
	Crash                // Node loses what is not in its store
	Restart              // Node starts from its store
	Connect              // Node dials Peer
	Reset                // the connection of Node and Peer breaks
	HalfOpen             // Node's end of the connection breaks, Peer does not notice
	SendAway             // Node ends the connection and asks Peer to come again later
	Block                // frames from Node to Peer are lost from now on
	Unblock              // until now
	Pause                // Node stops running
	Resume               // and goes on
	Jump                 // Node's wall clock is set by Amount ms
	Fill                 // Node's disk is full
	Free                 // and has room again
	Backup               // Node's store is copied
	Restore              // the copy replaces Node's store, under a new origin
	Clone                // a copy of Peer's store replaces Node's, under a new origin
	Rollback             // the copy replaces Node's store, which does not know
	Retire               // a new node without data takes Node's place
	Trim                 // Node's log of Space goes as far as all have it who are waited for
	Dismiss              // people retire Peer at Node
	Readmit              // and take it back
	Truncate             // a part of Node's log of Space goes; see node.truncate for Amount
)

// A CrashPoint is where in a commit a node crashes.
type CrashPoint uint8

// The points.
const (
	NoCrash      CrashPoint = iota
	BeforeCommit            // the store has not taken the transaction
	AfterCommit             // it has, and nobody was told
	AfterAck                // the writer was told, the peers were not
	AmidSpread              // one peer was told, the others were not
)

// String names the point.
func (p CrashPoint) String() string {
	return [...]string{"", "before the commit", "after the commit", "after the acknowledgement", "before all peers know"}[p]
}

// A Step is one event of a run. A step that makes no sense where it stands, a
// delivery when nothing is in flight for example, does nothing, so that every
// part of a list of steps is a list of steps.
type Step struct {
	Do     Verb
	Node   int
	Peer   int
	Nth    int
	Space  int
	Ops    []Op // of the transaction; with Deliver, of one in the same commit
	Crash  CrashPoint
	Amount int64 // ms
	Wait   int64 // ms that pass before the step
}

// An Action is what an op does to an object.
type Action uint8

// The actions, each for some kinds.
const (
	Add    Action = iota // an element to a set
	Remove               // an element from a set
	Set                  // a register
	Clear                // a register of many values
	Count                // on a counter
	Zero                 // a counter
)

// String names the action.
func (a Action) String() string {
	return [...]string{"add", "remove", "set", "clear", "count", "reset"}[a]
}

// An Op is one part of a transaction.
type Op struct {
	Do      Action
	Object  string
	Kind    string
	Element string // of a set
	N       int64  // to count by, or the number of the value to set
}
