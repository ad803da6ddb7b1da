package node

import (
	"cmp"
	"errors"

	crdtsync "github.com/joinery-crdt/joinery/sync"
	"github.com/joinery-crdt/joinery/sync/wire"
)

// A remedy is what a code means to people: what to do about it, and whether
// trying again helps as long as nobody does.
type remedy struct {
	action string
	final  bool
}

// remedies says what to do when there is no link to a peer, by code. Codes of
// errors come from this package, from [wire.Refusal] and from GOODBYE.
var remedies = map[string]remedy{
	"needs_upgrade":         {"upgrade the older of the two nodes, then try again", true},
	"self":                  {"take this address off the list of peers; if the peer is another device, start one of the two with an empty data directory: they were copied", true},
	"protocol":              {"upgrade both nodes; if they are of the same version, keep their logs and report this", true},
	"needs_auth":            {"give this device credentials that the peer accepts, then try again", true},
	"bad_address":           {"correct the address of the peer", true},
	"bad_endpoint":          {"correct host, port and path of the address, or look for a proxy between", true},
	"untrusted_certificate": {"check the name of the host and the clock of this device, or trust the authority that signed the certificate", true},
	"refused":               {"see the status of the peer, which does not want this link", true},
	"peer_unavailable":      {"none: the peer, or a proxy before it, has trouble of its own; this node keeps trying", false},
	"store_error":           {"check the disk and its free space; what the peer sends is asked for again", false},
	"peer_draining":         {"none: the peer restarts, and this node tries again when it was told to", false},
	"peer_busy":             {"none: the peer takes no more links at present, and this node tries again when it was told to", false},
	"peer_renewed":          {"none: one of the two nodes was a copy and takes a new origin; this node tries again", false},
	"peer_shutdown":         {"start the peer; this node keeps trying", false},
	"peer_silent":           {"check the network between the two and that the peer runs; this node keeps trying", false},
	"link_lost":             {"check the network between the two and that the peer runs; this node keeps trying", false},
	"peer_unreachable":      {"check that the peer runs and that the address is right; this node keeps trying", false},
}

// goodbyes maps the codes of GOODBYE to those of problems. Others are refusals.
var goodbyes = map[string]string{
	"needs_upgrade": "needs_upgrade", "self": "self", "protocol": "protocol", "shutdown": "peer_shutdown",
	"needs_auth": "needs_auth", "denied": "needs_auth", "expired": "needs_auth", "revoked": "needs_auth",
}

// linkCode returns the code of the reason for which there is no link.
func linkCode(err error) string {
	if e, ok := errors.AsType[*crdtsync.GoodbyeError](err); ok {
		return cmp.Or(goodbyes[e.Code], "refused")
	}
	if e, ok := errors.AsType[*crdtsync.GoawayError](err); ok {
		switch e.Code {
		case "draining":
			return "peer_draining"
		case "renewed":
			return "peer_renewed"
		}
		return "peer_busy"
	}
	var refusal wire.Refusal
	switch {
	case errors.Is(err, errNotStored):
		return "store_error"
	case errors.As(err, &refusal):
		if _, known := remedies[refusal.Code()]; known {
			return refusal.Code()
		}
	case errors.Is(err, crdtsync.ErrSilent):
		return "peer_silent"
	case errors.Is(err, wire.ErrFrame):
		return "protocol"
	case errors.Is(err, wire.ErrClosed):
		return "link_lost"
	}
	return "peer_unreachable"
}

// isFinal reports whether trying again cannot help while nobody changes anything.
func isFinal(err error) bool { return remedies[linkCode(err)].final }

// linkProblem explains why there is no link to a peer.
func linkProblem(peer string, err error) Problem {
	code := linkCode(err)
	return Problem{Code: code, Peer: peer, Cause: err.Error(), Action: remedies[code].action}
}
