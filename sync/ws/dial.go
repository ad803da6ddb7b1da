package ws

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"time"

	"github.com/coder/websocket"

	"github.com/joinery-crdt/joinery/sync/wire"
)

// Subprotocol is the WebSocket subprotocol of version 1 of the protocol.
const Subprotocol = "joinery.sync.v1"

// DefaultHandshakeTimeout is used when [DialOptions] names none.
const DefaultHandshakeTimeout = 15 * time.Second

// DialOptions adjust a [Dialer]. The zero value is usable.
type DialOptions struct {
	// Header is sent with the handshake, for example an Authorization. It must
	// not be modified while the dialer is in use.
	Header http.Header
	// HTTPClient makes the request, [http.DefaultClient] if nil. Its transport
	// decides about proxies and certificates.
	HTTPClient *http.Client
	// HandshakeTimeout bounds one Dial, 0 for DefaultHandshakeTimeout.
	HandshakeTimeout time.Duration
}

// A Dialer opens connections to one URL. It is safe for concurrent use.
type Dialer struct {
	url  *url.URL
	opts DialOptions
}

var _ wire.Dialer = (*Dialer)(nil)

// NewDialer returns a dialer of a ws or wss URL. Any other URL, or one that
// contains a password, is a [*HandshakeError] of the kind [ErrURL].
func NewDialer(rawURL string, opts DialOptions) (*Dialer, error) {
	u, err := url.Parse(rawURL)
	if err != nil {
		return nil, &HandshakeError{Peer: fmt.Sprintf("%.40q", rawURL), Kind: ErrURL, Problem: "not a URL, one looks like wss://host/path"}
	}
	if problem := urlProblem(u); problem != "" {
		return nil, &HandshakeError{Peer: display(u), Kind: ErrURL, Problem: problem}
	}
	opts.HandshakeTimeout = cmp.Or(opts.HandshakeTimeout, DefaultHandshakeTimeout)
	return &Dialer{u, opts}, nil
}

func urlProblem(u *url.URL) string {
	switch {
	case u.Scheme == "http":
		return "use ws:// in place of http://, or better wss://"
	case u.Scheme == "https":
		return "use wss:// in place of https://"
	case u.Scheme != "ws" && u.Scheme != "wss":
		return "begin it with wss://, or with ws:// on a network that you trust"
	case u.Host == "":
		return "name a host: wss://host/path"
	case u.User != nil:
		return "take the user and password out of the URL and send them in a header"
	case u.Fragment != "":
		return "take the part from # on out of the URL"
	}
	return ""
}

// display returns the URL without what may be secret in it.
func display(u *url.URL) string {
	public := url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path, Opaque: u.Opaque}
	return public.String()
}

// String returns the URL without its query, which may hold secrets.
func (d *Dialer) String() string { return display(d.url) }

// Dial opens a connection. Errors are of type [*HandshakeError], except that of
// ctx.
func (d *Dialer) Dial(ctx context.Context) (wire.Conn, error) {
	bounded, cancel := context.WithTimeout(ctx, d.opts.HandshakeTimeout)
	defer cancel()
	c, response, err := websocket.Dial(bounded, d.url.String(), &websocket.DialOptions{
		HTTPClient: d.opts.HTTPClient, HTTPHeader: d.opts.Header,
		Subprotocols: []string{Subprotocol}, CompressionMode: websocket.CompressionDisabled,
	})
	switch {
	case err == nil && c.Subprotocol() == Subprotocol:
		return newConn(c), nil
	case err == nil:
		_ = c.CloseNow()
		return nil, d.fail(ErrSubprotocol, response, "it chose no subprotocol: it is no sync endpoint, check the path", nil)
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case response != nil:
		return nil, d.answered(response, err)
	}
	return nil, d.unreachable(bounded, err)
}

func (d *Dialer) fail(kind error, r *http.Response, problem string, err error) error {
	e := &HandshakeError{Peer: d.String(), Kind: kind, Problem: problem, Err: err}
	if r != nil {
		e.Status = r.StatusCode
	}
	return e
}

// answered explains an HTTP response that is not the wanted one.
func (d *Dialer) answered(r *http.Response, err error) error {
	status := fmt.Sprintf("it answered %d %s", r.StatusCode, cmp.Or(said(r), http.StatusText(r.StatusCode)))
	switch {
	case r.StatusCode == http.StatusSwitchingProtocols && r.Header.Get("Sec-WebSocket-Protocol") != "":
		return d.fail(ErrSubprotocol, r, fmt.Sprintf("it speaks %.40q, not %s: check the path", r.Header.Get("Sec-WebSocket-Protocol"), Subprotocol), nil)
	case r.StatusCode == http.StatusSwitchingProtocols:
		return d.fail(ErrEndpoint, r, "its handshake is broken, look for a proxy between", err)
	case r.StatusCode == http.StatusUnauthorized || r.StatusCode == http.StatusForbidden:
		return d.fail(ErrDenied, r, status+": check the credentials of this device", nil)
	case r.StatusCode == http.StatusNotFound:
		return d.fail(ErrEndpoint, r, status+": check the path of the URL", nil)
	case r.StatusCode >= 500 || r.StatusCode == http.StatusTooManyRequests:
		return d.fail(ErrEndpoint, r, status+": try later", nil)
	}
	return d.fail(ErrEndpoint, r, status+": check host, port and path of the URL, and for a proxy between", nil)
}

// said returns the first line of a plain text answer, quoted and cut.
func said(r *http.Response) string {
	if !strings.HasPrefix(r.Header.Get("Content-Type"), "text/plain") || r.Body == nil {
		return ""
	}
	text, _ := io.ReadAll(r.Body) // the library keeps at most 1 KiB
	line, _, _ := strings.Cut(strings.TrimSpace(string(text)), "\n")
	if line == "" {
		return ""
	}
	return fmt.Sprintf("%.200q", line)
}

// unreachable explains why there was no response at all.
func (d *Dialer) unreachable(ctx context.Context, err error) error {
	_, noHost := errors.AsType[*net.DNSError](err)
	_, noTLS := errors.AsType[tls.RecordHeaderError](err)
	problem := "check the network and the address"
	switch {
	case ctx.Err() != nil:
		return d.fail(ErrUnreachable, nil, fmt.Sprintf("no answer within %v: check the address and firewalls", d.opts.HandshakeTimeout), nil)
	case errors.Is(err, syscall.ECONNREFUSED):
		return d.fail(ErrUnreachable, nil, "nothing listens at this address: start the peer, or correct the port", nil)
	case noHost:
		problem = "the name of the host cannot be found: check its spelling and the network"
	case noTLS || strings.Contains(err.Error(), "HTTP response to HTTPS client"):
		problem = "it does not speak TLS: use ws:// if you trust the network, or the port that has TLS"
	case isCertificateError(err):
		problem = "its certificate is not trusted: check the name of the host, or give the HTTP client its authority"
	}
	return d.fail(ErrUnreachable, nil, problem, err)
}

func isCertificateError(err error) bool {
	_, bad := errors.AsType[*tls.CertificateVerificationError](err)
	_, unknown := errors.AsType[x509.UnknownAuthorityError](err)
	_, name := errors.AsType[x509.HostnameError](err)
	return bad || unknown || name
}
