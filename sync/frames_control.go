package sync

import "github.com/joinery-crdt/joinery/merge"

// Auth proves who the sender is. Until the peer has accepted it nothing but the
// handshake is said. It is repeated until a Welcome answers it.
type Auth struct {
	Scheme     string // of a published list: token, or one of the application's
	Credential []byte
}

// AuthUpdate replaces the credential of a running link, and is answered by a
// Welcome.
type AuthUpdate Auth

// MaxCredential is the largest credential in bytes.
const MaxCredential = 8 << 10

// Explain asks where a change is for the receiver, and what blocks it.
type Explain struct {
	N     uint64 // repeated in the answer
	Space string
	Dot   merge.Dot
}

// Explained answers an Explain.
type Explained struct {
	N       uint64
	State   string    // of a published list: applied, waiting, refused, forbidden, unknown
	Reason  string    // for people
	Head    uint64    // last number of the change's origin that is applied and durable
	Missing merge.Dot // what the change waits for; zero for nothing
}

// Unsubscribe says that the sender wants no more of a space, until it says
// Subscribe again.
type Unsubscribe struct{ Space string }

// Revoked says that the receiver may not have the space, or no longer.
type Revoked struct {
	Space  string
	Code   string // of the list of Nack's codes
	Reason string
}

// A Range is consecutive changes of one origin.
type Range struct {
	Origin      merge.Origin
	First, Last uint64
}

// Need asks for single changes again.
type Need struct {
	Space  string
	Ranges []Range // at most MaxRanges
}

// MaxRanges is how many ranges a Need may hold.
const MaxRanges = 64

// Credit bounds what the receiver of the frame may send of a space: changes and
// their bytes in all since its last Subscribed.
type Credit struct {
	Space   string
	Changes uint64
	Bytes   uint64
}

func (*Auth) frame()        {}
func (*AuthUpdate) frame()  {}
func (*Explain) frame()     {}
func (*Explained) frame()   {}
func (*Unsubscribe) frame() {}
func (*Revoked) frame()     {}
func (*Need) frame()        {}
func (*Credit) frame()      {}
