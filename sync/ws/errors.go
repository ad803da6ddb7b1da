package ws

import (
	"errors"
	"fmt"
	"net/http"
)

// Kinds of failed handshakes.
var (
	// ErrURL: the URL cannot be dialled.
	ErrURL = errors.New("ws: unusable URL")
	// ErrUnreachable: no connection to the host, or none that is trusted.
	ErrUnreachable = errors.New("ws: peer unreachable")
	// ErrEndpoint: the host answers, but not as a WebSocket endpoint.
	ErrEndpoint = errors.New("ws: not a WebSocket endpoint")
	// ErrDenied: the endpoint wants other credentials.
	ErrDenied = errors.New("ws: access denied")
	// ErrSubprotocol: a WebSocket endpoint that speaks something else.
	ErrSubprotocol = errors.New("ws: wrong subprotocol")
	// ErrRequest: a request that is no WebSocket handshake, or from a web page
	// of a foreign origin.
	ErrRequest = errors.New("ws: unacceptable request")
)

// ErrLost: the connection broke without a goodbye.
var ErrLost = errors.New("ws: connection lost")

// A HandshakeError says why there is no connection and what to do.
type HandshakeError struct {
	Peer    string // URL without secrets, or the address of the client
	Kind    error  // one of the kinds above
	Status  int    // of the HTTP response, 0 if there was none
	Problem string
	Err     error // cause, may be nil
}

// Error names the peer, the problem and the next step.
func (e *HandshakeError) Error() string {
	text := fmt.Sprintf("%v: %s: %s", e.Kind, e.Peer, e.Problem)
	if e.Err != nil {
		text += fmt.Sprintf(" (%v)", e.Err)
	}
	return text
}

// Is makes a HandshakeError match its kind.
func (e *HandshakeError) Is(target error) bool { return target == e.Kind }

// Unwrap returns the cause.
func (e *HandshakeError) Unwrap() error { return e.Err }

// Code names the kind of failure for programs, as [wire.Refusal] lists them.
func (e *HandshakeError) Code() string {
	switch e.Kind {
	case ErrURL:
		return "bad_address"
	case ErrDenied:
		return "needs_auth"
	case ErrUnreachable:
		if isCertificateError(e.Err) {
			return "untrusted_certificate"
		}
		return "peer_unreachable"
	case ErrEndpoint:
		if e.Retriable() {
			return "peer_unavailable"
		}
	}
	return "bad_endpoint"
}

// Retriable reports whether the same handshake may succeed later although
// nobody changes the configuration of either side.
func (e *HandshakeError) Retriable() bool {
	switch e.Kind {
	case ErrUnreachable:
		return !isCertificateError(e.Err)
	case ErrEndpoint:
		return e.Status >= 500 || e.Status == http.StatusTooManyRequests
	}
	return false
}
