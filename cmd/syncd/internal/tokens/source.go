package tokens

import (
	"fmt"
	"os"
	"strings"
	"sync"

	crdtsync "github.com/joinery-crdt/joinery/sync"
	"github.com/joinery-crdt/joinery/sync/node"
	"github.com/joinery-crdt/joinery/sync/wire"
)

// maxFile bounds the bytes of a file with one token.
const maxFile = 1 << 10

// ReadToken returns the token in a file, which holds nothing else. The error is
// [ErrFile]: what is no token is never sent anywhere.
func ReadToken(path string) (string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrFile, err)
	}
	if !info.Mode().IsRegular() || info.Size() > maxFile {
		return "", fmt.Errorf("%w: %s holds no token; make one with: syncd token issue", ErrFile, path)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrFile, err)
	}
	token := strings.TrimSpace(string(b))
	if !form.MatchString(token) {
		return "", fmt.Errorf("%w: %s holds no token; make one with: syncd token issue", ErrFile, path)
	}
	return token, nil
}

// A Dialer connects to a peer and shows it the token in a file, which is read
// again when it changes. It is safe for concurrent use.
type Dialer struct {
	wire.Dialer

	mu      sync.Mutex // guards what follows
	file    watched    // without a path if there is none
	token   string     // as last read
	told    string     // at the last Refresh
	problem error
}

// NewDialer returns a dialer that connects as d does and shows the token in the
// file; an empty path is for no token.
func NewDialer(d wire.Dialer, path string) *Dialer {
	return &Dialer{Dialer: d, file: watched{path: path}}
}

var _ node.Prover = (*Dialer)(nil)

// Refresh reads the file again if it has changed, and reports whether it holds
// another token than at the last Refresh.
func (d *Dialer) Refresh() (news bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.refresh()
	news = d.token != d.told
	d.told = d.token
	return news
}

func (d *Dialer) refresh() {
	if d.file.path == "" || !d.file.changed() {
		return
	}
	var token string
	if token, d.problem = ReadToken(d.file.path); d.problem == nil {
		d.token = token
	}
}

// Prove implements [node.Prover]. Without a token it says so, and the peer can
// answer that it needs one.
func (d *Dialer) Prove(*crdtsync.Hello) *crdtsync.Auth {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.refresh()
	if d.token == "" {
		return &crdtsync.Auth{Scheme: schemeNone, Credential: []byte{}}
	}
	return &crdtsync.Auth{Scheme: scheme, Credential: []byte(d.token)}
}

// Problems says what is wrong with the file.
func (d *Dialer) Problems() []node.Problem {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.problem == nil {
		return nil
	}
	return []node.Problem{{
		Code: "token_unusable", Peer: d.String(), Cause: d.problem.Error(),
		Action: "put the token into the file; until then the one that it held before is shown to the peer",
	}}
}
