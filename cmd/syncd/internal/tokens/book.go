package tokens

import (
	"errors"
	"fmt"
	"reflect"
	"sync"
	"time"

	crdtsync "github.com/joinery-crdt/joinery/sync"
	"github.com/joinery-crdt/joinery/sync/node"
)

// ErrToken is the kind of errors about a token that is shown and not good.
var ErrToken = errors.New("tokens: not accepted")

// Schemes of credentials.
const (
	scheme     = "token"
	schemeNone = "none" // of a device that has no token, and wants to be told at once
)

// A Book is the tokens that a daemon accepts. It is safe for concurrent use.
type Book struct {
	mu      sync.Mutex // guards what follows
	file    watched
	entries map[string]Entry // by hash, as the file last said
	news    bool             // since the last Refresh
	problem error            // with the file as it is now, nil if there is none
	local   string           // hash of the token for the API that is in no list
}

// Open reads the list at path. The error is [ErrFile].
func Open(path string) (*Book, error) {
	b := &Book{file: watched{path: path}}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.refresh()
	return b, b.problem
}

// refresh reads the list if it has changed. The caller holds b.mu.
func (b *Book) refresh() {
	if !b.file.changed() {
		return
	}
	var list []Entry
	if list, b.problem = Load(b.file.path); b.problem != nil {
		return
	}
	entries := make(map[string]Entry)
	for _, e := range list {
		hash := e.SHA256
		if e.Token != "" {
			hash = hashOf(e.Token)
		}
		entries[hash] = e
	}
	b.news = b.news || !reflect.DeepEqual(entries, b.entries)
	b.entries = entries
}

// Refresh reads the list again if it has changed, and reports whether it says
// anything else than at the last Refresh.
func (b *Book) Refresh() (news bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.refresh()
	news, b.news = b.news, false
	return news
}

// Local draws the token by which the programs of this daemon's own user speak to
// its API, in place of the one before.
func (b *Book) Local() string {
	token := New()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.local = hashOf(token)
	return token
}

// Check returns what a token allows that a request to the API shows, or an error
// that is [ErrToken].
func (b *Book) Check(token string) (Entry, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.local != "" && hashOf(token) == b.local {
		return Entry{Name: "local", Access: Admin}, nil
	}
	b.refresh()
	return b.find(hashOf(token))
}

// find returns the entry of a token that is good now. The caller holds b.mu.
func (b *Book) find(hash string) (Entry, error) {
	e, ok := b.entries[hash]
	if !ok {
		return e, fmt.Errorf("%w: the token is not known, or was revoked", ErrToken)
	}
	if e.Expired(time.Now()) {
		return e, fmt.Errorf("%w: the token %q ended at %s", ErrToken, e.Name, e.Expires.UTC().Format(time.RFC3339))
	}
	return e, nil
}

// Verify is [node.Config.Verify].
func (b *Book) Verify(_ *crdtsync.Hello, a crdtsync.Auth) (crdtsync.Grant, error) {
	if a.Scheme != scheme {
		return crdtsync.Grant{}, fmt.Errorf("%w: no token was shown", ErrToken)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.refresh()
	hash := hashOf(string(a.Credential))
	e, err := b.find(hash)
	if err != nil {
		return crdtsync.Grant{}, err
	}
	g := crdtsync.Grant{Access: func(space string) crdtsync.Access { return b.may(hash, space) }}
	if !e.Expires.IsZero() {
		g.Until = uint64(max(1, e.Expires.UnixMilli()))
	}
	return g, nil
}

// may returns what a token allows as the list was last read.
func (b *Book) may(hash, space string) crdtsync.Access {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.entries[hash].May(space)
}

// Problems says what is wrong with the list.
func (b *Book) Problems() []node.Problem {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.problem == nil {
		return nil
	}
	return []node.Problem{{
		Code: "tokens_unusable", Cause: b.problem.Error(),
		Action: "correct the file; until then the tokens count that it held before",
	}}
}
