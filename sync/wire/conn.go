package wire

import (
	"context"
	"errors"
)

// A Conn carries frames between two nodes, each whole or not at all, in both
// directions, in the order in which they were sent. Send and Close may be called
// at any time by anyone, Recv by one goroutine at a time.
//
// When the context of a Send or Recv ends first, that call returns its error
// and the connection may be unusable: close it. Once a connection has ended,
// Send and Recv return an error at once, a [*ClosedError] if it was closed.
type Conn interface {
	// Send sends one frame of at most [MaxFrame] bytes and may block while the
	// peer does not receive. The buffer is the connection's from then on and is
	// modified by nobody: one may be sent over many connections. That Send returned does not mean that the
	// peer has the frame.
	Send(ctx context.Context, frame []byte) error
	// Recv returns the next frame, in a buffer that the caller may keep and
	// does not modify. Frames
	// that were sent before the peer closed still arrive.
	Recv(ctx context.Context) ([]byte, error)
	// Close ends the connection and tells the peer why, if it can. Calls that
	// block return. Closing again does nothing.
	Close(reason string) error
}

// A Dialer opens connections to one peer.
type Dialer interface {
	// Dial opens a connection. The context bounds the opening only.
	Dial(ctx context.Context) (Conn, error)
	// String returns the address for people. It holds no secrets.
	String() string
}

// A Refusal is what an error of Dial may be besides: it tells programs why there
// is no connection.
type Refusal interface {
	error
	// Code is one of needs_auth, needs_upgrade, bad_address, bad_endpoint,
	// untrusted_certificate, peer_unavailable and peer_unreachable.
	Code() string
}

// ErrClosed is the kind of every [*ClosedError].
var ErrClosed = errors.New("wire: connection closed")

// A ClosedError is the orderly end of a connection.
type ClosedError struct {
	Reason string // what the side that closed it said
	ByPeer bool
}

// Error says who closed the connection and why.
func (e *ClosedError) Error() string {
	if e.ByPeer {
		return "wire: the peer closed the connection: " + e.Reason
	}
	return "wire: connection closed here: " + e.Reason
}

// Is makes a ClosedError match [ErrClosed].
func (e *ClosedError) Is(target error) bool { return target == ErrClosed }
