// Package client speaks to a daemon's HTTP API.
package client

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	v1 "github.com/joinery-crdt/joinery/cmd/syncd/internal/v1"
	"github.com/joinery-crdt/joinery/sync/node"
)

// ErrUnreachable is the kind of every [*UnreachableError].
var ErrUnreachable = errors.New("client: daemon not reachable")

// An UnreachableError reports a daemon that does not answer.
type UnreachableError struct {
	Address string
	Err     error
}

// Error says what to do.
func (e *UnreachableError) Error() string {
	return fmt.Sprintf("no daemon answers at %s: %v\n  start one with: syncd serve", e.Address, e.Err)
}

// Is makes an UnreachableError match [ErrUnreachable].
func (e *UnreachableError) Is(target error) bool { return target == ErrUnreachable }

// Unwrap returns the cause.
func (e *UnreachableError) Unwrap() error { return e.Err }

// A Client speaks to one daemon. Errors of its methods are [*v1.Problem] when
// the daemon answered with one, and [*UnreachableError] when it did not answer.
// It is safe for concurrent use.
type Client struct {
	base  string // URL without a slash at the end
	dir   string
	token string
	http  *http.Client
}

// Authorize makes the client show a token. Call it before all other methods.
func (c *Client) Authorize(token string) { c.token = token }

// ErrCertificate: a daemon has another certificate than it should.
var ErrCertificate = errors.New("client: the daemon has another certificate than the one noted in its data directory")

// Pin makes the client speak only to a daemon with this very certificate, in PEM,
// whatever name that is for. Call it before all other methods.
func (c *Client) Pin(leaf []byte) {
	block, _ := pem.Decode(leaf)
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.TLSClientConfig = &tls.Config{
		InsecureSkipVerify: true, // VerifyConnection is stricter
		VerifyConnection: func(s tls.ConnectionState) error {
			if block == nil || !bytes.Equal(s.PeerCertificates[0].Raw, block.Bytes) {
				return ErrCertificate
			}
			return nil
		},
	}
	c.http = &http.Client{Transport: transport}
}

// New returns a client of the daemon at the address, which is host:port or a
// URL. If dir is not empty, a daemon with another data directory refuses.
func New(address, dir string) *Client {
	if !strings.Contains(address, "://") {
		address = "http://" + address
	}
	return &Client{base: strings.TrimSuffix(address, "/"), dir: dir, http: &http.Client{}}
}

// Address returns the URL of the daemon.
func (c *Client) Address() string { return c.base }

// do sends a request and returns the answer, which the caller closes, unless it
// is a problem.
func (c *Client) do(ctx context.Context, method, path string, body io.Reader) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, body)
	if err != nil {
		return nil, &UnreachableError{c.base, err}
	}
	if c.dir != "" {
		req.Header.Set(v1.DirHeader, url.PathEscape(c.dir))
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, c.unreachable(ctx, err)
	}
	if resp.StatusCode < http.StatusBadRequest {
		return resp, nil
	}
	defer func() { _ = resp.Body.Close() }()
	return nil, c.problem(resp)
}

func (c *Client) unreachable(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if e, ok := errors.AsType[*url.Error](err); ok {
		err = e.Err
	}
	return &UnreachableError{c.base, err}
}

func (c *Client) problem(resp *http.Response) error {
	var p v1.Problem
	b, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if json.Unmarshal(b, &p) != nil || p.Code == "" {
		return fmt.Errorf("client: what answers at %s is no syncd: %s", c.base, resp.Status)
	}
	return &p
}

// call sends in as JSON, or nothing, and reads the answer into out.
func (c *Client) call(ctx context.Context, method, path string, in, out any) error {
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(b)
	}
	return c.send(ctx, method, path, body, out)
}

func (c *Client) send(ctx context.Context, method, path string, body io.Reader, out any) error {
	resp, err := c.do(ctx, method, path, body)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if out == nil {
		return nil
	}
	if err := json.NewDecoder(resp.Body).Decode(out); err != nil {
		return c.unreachable(ctx, err)
	}
	return nil
}

// Status returns the state of the daemon.
func (c *Client) Status(ctx context.Context) (st v1.Status, err error) {
	err = c.call(ctx, http.MethodGet, "/v1/status", nil, &st)
	return st, err
}

// Spaces returns the spaces that hold something.
func (c *Client) Spaces(ctx context.Context) (out v1.Spaces, err error) {
	err = c.call(ctx, http.MethodGet, "/v1/spaces", nil, &out)
	return out, err
}

// segment returns a name as one segment of a path. A segment of dots alone
// would be taken for a step up.
func segment(name string) string {
	if strings.Trim(name, ".") == "" {
		return strings.ReplaceAll(name, ".", "%2E")
	}
	return url.PathEscape(name)
}

func spacePath(space string, more ...string) string {
	path := "/v1/spaces/" + segment(space)
	for _, m := range more {
		path += "/" + segment(m)
	}
	return path
}

// Objects returns a page of the objects whose key starts with prefix; after is
// what the page before named Next.
func (c *Client) Objects(ctx context.Context, space, prefix, after string, limit int) (out v1.Objects, err error) {
	q := url.Values{"prefix": {prefix}, "limit": {strconv.Itoa(limit)}}
	if after != "" {
		q.Set("after", after)
	}
	err = c.call(ctx, http.MethodGet, spacePath(space, "objects")+"?"+q.Encode(), nil, &out)
	return out, err
}

// AllObjects returns the objects whose key starts with prefix.
func (c *Client) AllObjects(ctx context.Context, space, prefix string) ([]node.Object, error) {
	all := []node.Object{}
	for after := ""; ; {
		page, err := c.Objects(ctx, space, prefix, after, v1.MaxPage)
		if err != nil {
			return nil, err
		}
		all = append(all, page.Objects...)
		if after = page.Next; after == "" {
			return all, nil
		}
	}
}

// Object returns one object.
func (c *Client) Object(ctx context.Context, space, kind, key string) (out v1.Object, err error) {
	err = c.call(ctx, http.MethodGet, spacePath(space, "objects", kind, key), nil, &out)
	return out, err
}

// Do does the operations as one change.
func (c *Client) Do(ctx context.Context, space string, ops ...v1.Op) (out v1.Written, err error) {
	err = c.call(ctx, http.MethodPost, spacePath(space, "tx"), v1.Transaction{Ops: ops}, &out)
	return out, err
}

// DoJSON does the transaction that body holds.
func (c *Client) DoJSON(ctx context.Context, space string, body io.Reader) (out v1.Written, err error) {
	err = c.send(ctx, http.MethodPost, spacePath(space, "tx"), body, &out)
	return out, err
}

// Peers returns the peers.
func (c *Client) Peers(ctx context.Context) (out v1.Peers, err error) {
	err = c.call(ctx, http.MethodGet, "/v1/peers", nil, &out)
	return out, err
}

// AddPeer makes the daemon connect to a peer, now and after restarts.
func (c *Client) AddPeer(ctx context.Context, peer v1.NewPeer) (out v1.Peer, err error) {
	err = c.call(ctx, http.MethodPost, "/v1/peers", peer, &out)
	return out, err
}

// RemovePeer makes the daemon forget a peer.
func (c *Client) RemovePeer(ctx context.Context, peer string) error {
	return c.call(ctx, http.MethodDelete, "/v1/peers?"+url.Values{"url": {peer}}.Encode(), nil, nil)
}

// Devices returns the devices that keep spaces of the daemon's.
func (c *Client) Devices(ctx context.Context) (out v1.Devices, err error) {
	err = c.call(ctx, http.MethodGet, "/v1/devices", nil, &out)
	return out, err
}

// Retire says that a device, given by its name or origin, will not come back.
func (c *Client) Retire(ctx context.Context, device string) (out node.Device, err error) {
	err = c.call(ctx, http.MethodPost, "/v1/devices/retire", v1.DeviceChoice{Device: device}, &out)
	return out, err
}

// Return takes a device back that was retired.
func (c *Client) Return(ctx context.Context, device string) (out node.Device, err error) {
	err = c.call(ctx, http.MethodPost, "/v1/devices/return", v1.DeviceChoice{Device: device}, &out)
	return out, err
}

// Quarantine returns the changes that were refused and are kept.
func (c *Client) Quarantine(ctx context.Context) (out v1.Quarantine, err error) {
	err = c.call(ctx, http.MethodGet, "/v1/quarantine", nil, &out)
	return out, err
}

// RetryQuarantined applies a refused change, given as origin/seq, or returns why
// it is refused again.
func (c *Client) RetryQuarantined(ctx context.Context, space, change string) (out v1.ChangeChoice, err error) {
	err = c.call(ctx, http.MethodPost, "/v1/quarantine/retry", v1.ChangeChoice{Space: space, Change: change}, &out)
	return out, err
}

// DropQuarantined forgets a refused change.
func (c *Client) DropQuarantined(ctx context.Context, space, change string) (out v1.ChangeChoice, err error) {
	err = c.call(ctx, http.MethodPost, "/v1/quarantine/drop", v1.ChangeChoice{Space: space, Change: change}, &out)
	return out, err
}

// Explain returns where a change, given as origin/seq, is: on the daemon's node
// and at each of its peers.
func (c *Client) Explain(ctx context.Context, space, change string) (out v1.Explained, err error) {
	err = c.call(ctx, http.MethodGet, spacePath(space, "explain")+"?"+url.Values{"change": {change}}.Encode(), nil, &out)
	return out, err
}

// Export writes a space to w as a drop file. After an error, what was written is
// none.
func (c *Client) Export(ctx context.Context, space string, w io.Writer) error {
	resp, err := c.do(ctx, http.MethodGet, spacePath(space, "export"), nil)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if _, err := io.Copy(w, resp.Body); err != nil {
		return fmt.Errorf("client: the export was cut off: %w", err)
	}
	return nil
}

// Import applies the drop file that r holds. The report says what became of its
// changes, also when a problem is returned that has one.
func (c *Client) Import(ctx context.Context, r io.Reader) (report node.ImportReport, err error) {
	err = c.send(ctx, http.MethodPost, "/v1/import", r, &report)
	if p, ok := errors.AsType[*v1.Problem](err); ok && p.Import != nil {
		report = *p.Import
	}
	return report, err
}
