// Package daemon runs one device: a node over the store in a data directory,
// its peers and its HTTP API.
package daemon

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"time"

	"github.com/joinery-crdt/joinery/cmd/syncd/internal/datadir"
)

// DefaultListen is where a daemon listens that is told nothing else.
const DefaultListen = "127.0.0.1:7440"

// A Config says how a daemon runs. Only Dir is required.
type Config struct {
	Dir    datadir.Dir
	Listen string // host:port, DefaultListen if empty; port 0 is any free one
	// Name is what people call the device, the host's name if empty.
	Name string
	// Hub says that other devices may count on this one.
	Hub bool
	// Postgres is the connection string of the PostgreSQL database that holds
	// the store. If it is empty, the store is in Dir.
	Postgres string
	// Peers are connected to while this daemon runs, besides those added
	// through the API.
	Peers []string
	// PeerToken is a file with the token to show to Peers, empty for none.
	PeerToken string
	// Tokens is the list of tokens of which everybody has to show one. If it is
	// empty, it is the one in Dir, if there is one.
	Tokens string
	// TLSCert and TLSKey are files with the certificate and the key under which the
	// daemon listens, in PEM, empty for listening without TLS.
	TLSCert, TLSKey string
	// TLSCA is a file with certificates of authorities, in PEM, that sign those of
	// peers, besides those that the system trusts.
	TLSCA string
	// AllowRemote permits an address that other machines reach, without tokens.
	// They can then read and write everything.
	AllowRemote bool
	// Hosts are names under which clients may address the daemon, besides IP
	// addresses and localhost.
	Hosts []string
	// Heartbeat, AuditEvery and TruncateEvery are how often links repeat their
	// state, cells are compared with a peer's, and logs are truncated; 0 is for
	// what [node.Config] says of each.
	Heartbeat, AuditEvery, TruncateEvery time.Duration
	// Lease is how long a device that is away is waited for, 0 for what
	// [node.Config] says.
	Lease time.Duration
	// Tree pushes changes along a tree of the connections.
	Tree    bool
	Version string
	// Logger receives what happens, nil for nowhere.
	Logger *slog.Logger
}

// Kinds of errors of the configuration.
var (
	// ErrAddress: the address is none.
	ErrAddress = errors.New("daemon: malformed address")
	// ErrListen: the address cannot be listened on.
	ErrListen = errors.New("daemon: unusable address")
	// ErrExposed: the address is one that other machines reach.
	ErrExposed = errors.New("daemon: no authentication")
	// ErrTLS: a certificate or a key cannot be used.
	ErrTLS = errors.New("daemon: unusable certificate")
)

// A ListenError reports an address that the daemon does not listen on.
type ListenError struct {
	Address string
	Kind    error // ErrAddress, ErrListen or ErrExposed
	Problem string
}

// Error says what is wrong and what to do.
func (e *ListenError) Error() string {
	return fmt.Sprintf("daemon: will not listen on %s: %s", e.Address, e.Problem)
}

// Is makes a ListenError match its kind.
func (e *ListenError) Is(target error) bool { return target == e.Kind }

// checkListen wants host:port, and a loopback host unless others may connect.
func checkListen(address string, allowRemote bool) error {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return &ListenError{address, ErrAddress, "it is not host:port, such as " + DefaultListen}
	}
	if allowRemote || isLoopback(host) {
		return nil
	}
	return &ListenError{address, ErrExposed, "other machines could connect and read and write everything; " +
		"make a token for each device that may, with: syncd token issue NAME (and the same --dir)" +
		"\n  (on a network where you trust everyone, add --insecure-no-auth instead)"}
}

// IsLocal reports whether only this machine can connect to a daemon that listens
// on the address, which may be empty for the default.
func IsLocal(address string) bool {
	host, _, err := net.SplitHostPort(cmp.Or(address, DefaultListen))
	return err == nil && isLoopback(host)
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return strings.EqualFold(host, "localhost") || ip != nil && ip.IsLoopback()
}
