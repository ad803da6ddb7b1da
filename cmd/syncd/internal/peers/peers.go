// Package peers keeps a node connected to a list of peers that survives
// restarts.
package peers

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/joinery-crdt/joinery/cmd/syncd/internal/datadir"
	"github.com/joinery-crdt/joinery/cmd/syncd/internal/tokens"
	v1 "github.com/joinery-crdt/joinery/cmd/syncd/internal/v1"
	"github.com/joinery-crdt/joinery/sync/node"
	"github.com/joinery-crdt/joinery/sync/wire"
)

// ErrFile: the list cannot be used.
var ErrFile = errors.New("peers: unusable list")

// fileVersion is that of the list's format.
const fileVersion = 1

// file is the list as it is stored.
type file struct {
	Version int      `json:"version"`
	Peers   []string `json:"peers"`
	// TokenFiles is the files with the tokens to show to some of them.
	TokenFiles map[string]string `json:"token_files,omitempty"`
}

// A Config says whom a Manager connects to whom. All fields but TokenFile are
// required.
type Config struct {
	Node *node.Node
	Path string // of the list
	Dial func(url string) (wire.Dialer, error)
	Log  *slog.Logger
	// TokenFile holds the token for the peers that are given to Open.
	TokenFile string
}

// A Manager runs one link to each peer of a list. It is safe for concurrent use.
type Manager struct {
	Config
	ctx    context.Context // ends with Close
	cancel context.CancelFunc

	mu      sync.Mutex // guards what follows, and the file
	running map[string]*running
	kept    map[string]bool   // the peers in the file
	files   map[string]string // with their tokens, of those that have one
}

// running is one peer's goroutine.
type running struct {
	dialer *tokens.Dialer
	cancel context.CancelFunc
	done   chan struct{}
	err    error // why the peer is not tried again; read after done
}

// Open connects to the peers in the list and to those given, which it does not
// add to the list. A list that cannot be used is an error that is [ErrFile].
func Open(cfg Config, urls []string) (*Manager, error) {
	m := &Manager{Config: cfg, running: make(map[string]*running), kept: make(map[string]bool), files: make(map[string]string)}
	m.ctx, m.cancel = context.WithCancel(context.Background())
	listed, err := load(cfg.Path)
	if err != nil {
		return nil, err
	}
	if err := m.startAll(listed, urls); err != nil {
		m.Close()
		return nil, err
	}
	return m, nil
}

func (m *Manager) startAll(listed file, more []string) error {
	for _, u := range listed.Peers {
		m.kept[u] = true
		if err := m.open(u, listed.TokenFiles[u]); err != nil {
			return fmt.Errorf("%w: %s: %s; correct or remove it", ErrFile, m.Path, err)
		}
	}
	for _, u := range more {
		if err := m.open(u, m.TokenFile); err != nil {
			return err
		}
	}
	return nil
}

func (m *Manager) open(text, tokenFile string) error {
	u, err := Normalise(text)
	if err != nil {
		return err
	}
	if tokenFile != "" {
		m.files[u] = tokenFile
	}
	return m.start(u)
}

func load(path string) (f file, err error) {
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return f, nil
	}
	if err != nil {
		return f, fmt.Errorf("%w: %w", ErrFile, err)
	}
	if err := json.Unmarshal(b, &f); err != nil {
		return f, fmt.Errorf("%w: %s: %w; correct or remove it", ErrFile, path, err)
	}
	if f.Version != fileVersion {
		return f, fmt.Errorf("%w: %s has version %d, this program reads %d; upgrade it", ErrFile, path, f.Version, fileVersion)
	}
	return f, nil
}

// save writes the list. The caller holds m.mu.
func (m *Manager) save() error {
	files := maps.Clone(m.files)
	maps.DeleteFunc(files, func(u, _ string) bool { return !m.kept[u] })
	b, err := json.MarshalIndent(file{fileVersion, slices.Sorted(maps.Keys(m.kept)), files}, "", "  ")
	if err != nil {
		return err
	}
	return datadir.WriteFile(m.Path, append(b, '\n'))
}

// DefaultPort is added to a peer that is only a host's name or address.
const DefaultPort = ":7440"

// Normalise returns the full URL of a peer: ws://host:port/v1/sync for host:port
// and for the address that a daemon prints. What cannot be one is a [*v1.Problem].
func Normalise(text string) (string, error) {
	bare := !strings.Contains(text, "://")
	full := text
	if bare {
		full = "ws://" + bracketed(text)
	}
	u, err := url.Parse(full)
	if err != nil {
		return "", badPeer(text, "it is no URL")
	}
	if bare && u.Port() == "" && u.Host != "" {
		u.Host += DefaultPort
	}
	switch u.Scheme {
	case "http":
		u.Scheme = "ws"
	case "https":
		u.Scheme = "wss"
	case "ws", "wss":
	default:
		return "", badPeer(text, "its scheme is "+u.Scheme)
	}
	switch {
	case u.Hostname() == "":
		return "", badPeer(text, "it names no host")
	case strings.Contains(u.Hostname(), ":") && net.ParseIP(u.Hostname()) == nil:
		return "", badPeer(text, "its host is none")
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return "", badPeer(text, "it has more than host, port and path")
	case u.Path == "" || u.Path == "/":
		u.Path = "/v1/sync"
	}
	return u.String(), nil
}

// bracketed returns an IPv6 address as URLs have it, and other text as it is.
func bracketed(text string) string {
	if ip := net.ParseIP(text); ip != nil && strings.Contains(text, ":") {
		return "[" + text + "]"
	}
	return text
}

func badPeer(text, problem string) error {
	return v1.NewProblem(v1.BadPeer, fmt.Sprintf("%q cannot be a peer: %s", text, problem),
		"give the address that the other daemon prints, for example http://192.0.2.7:7440")
}

// start begins to connect to a peer unless it has begun. The caller holds m.mu
// or is the only one to know m.
func (m *Manager) start(u string) error {
	if r, ok := m.running[u]; ok && !r.ended() {
		return nil
	}
	d, err := m.Dial(u)
	if err != nil {
		return badPeer(u, err.Error())
	}
	ctx, cancel := context.WithCancel(m.ctx)
	r := &running{dialer: tokens.NewDialer(d, m.files[u]), cancel: cancel, done: make(chan struct{})}
	m.running[u] = r
	go func() {
		defer close(r.done)
		r.err = m.Node.Sync(ctx, r.dialer)
		m.Log.Info("peer ended", "peer", u, "err", r.err)
	}()
	return nil
}

func (r *running) ended() bool {
	select {
	case <-r.done:
		return true
	default:
		return false
	}
}

// Add connects to a peer from now on and after restarts; one that is known is
// tried at once. When it returns, that is durable.
func (m *Manager) Add(peer v1.NewPeer) (v1.Peer, error) {
	u, err := Normalise(peer.URL)
	if err != nil {
		return v1.Peer{}, err
	}
	if peer.TokenFile != "" {
		if err := checkTokenFile(peer.TokenFile); err != nil {
			return v1.Peer{}, err
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.ctx.Err() != nil {
		return v1.Peer{}, node.ErrClosed
	}
	_, known := m.running[u]
	before, kept := m.files[u], m.kept[u]
	if m.use(u, cmp.Or(peer.TokenFile, before)); known && m.files[u] != before {
		m.end(u)
	}
	if err := m.start(u); err != nil {
		m.use(u, before)
		return v1.Peer{}, err
	}
	if known {
		m.Node.Retry(u)
	}
	m.kept[u] = true
	if kept && m.files[u] == before {
		return m.describe(u, m.states()), nil
	}
	if err := m.save(); err != nil {
		m.restore(u, before, kept, known)
		return v1.Peer{}, err
	}
	return m.describe(u, m.states()), nil
}

// checkTokenFile wants an absolute path, because the daemon's folder is not that of
// whoever names one, and a token in it.
func checkTokenFile(path string) error {
	if !filepath.IsAbs(path) {
		return badPeer(path, "the path of its token is not absolute")
	}
	_, err := tokens.ReadToken(path)
	return err
}

// use notes the file with the token for a peer. The caller holds m.mu.
func (m *Manager) use(u, tokenFile string) {
	if tokenFile == "" {
		delete(m.files, u)
		return
	}
	m.files[u] = tokenFile
}

// restore puts back what was known of a peer before Add. The caller holds m.mu.
func (m *Manager) restore(u, tokenFile string, kept, known bool) {
	m.end(u)
	m.use(u, tokenFile)
	if !kept {
		delete(m.kept, u)
	}
	if known {
		_ = m.start(u) // as it did before
	}
}

// RefreshTokens reads the tokens for peers again that have changed, and tries those
// peers at once that are not connected.
func (m *Manager) RefreshTokens() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for u, r := range m.running {
		if r.dialer.Refresh() {
			m.Node.Retry(u)
		}
	}
}

// Problems says what is wrong with the tokens for peers.
func (m *Manager) Problems() (list []node.Problem) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, u := range slices.Sorted(maps.Keys(m.running)) {
		list = append(list, m.running[u].dialer.Problems()...)
	}
	return list
}

// Remove ends the connection to a peer and takes it off the list. It reports
// whether there was such a peer.
func (m *Manager) Remove(text string) (bool, error) {
	u, err := Normalise(text)
	if err != nil {
		return false, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, found := m.running[u]; !found {
		return false, nil
	}
	if m.kept[u] {
		delete(m.kept, u)
		if err := m.save(); err != nil {
			m.kept[u] = true
			return true, err
		}
	}
	m.end(u)
	delete(m.files, u)
	return true, nil
}

// end ends the connection to a peer that runs. The caller holds m.mu.
func (m *Manager) end(u string) {
	r := m.running[u]
	r.cancel()
	<-r.done
	delete(m.running, u)
}

// List returns the peers, ascending by URL.
func (m *Manager) List() []v1.Peer {
	m.mu.Lock()
	defer m.mu.Unlock()
	states := m.states()
	list := []v1.Peer{}
	for _, u := range slices.Sorted(maps.Keys(m.running)) {
		list = append(list, m.describe(u, states))
	}
	return list
}

// states returns what the node says of the peers, by address.
func (m *Manager) states() map[string]node.PeerStatus {
	states := make(map[string]node.PeerStatus)
	for _, p := range m.Node.Status().Peers {
		states[p.Address] = p
	}
	return states
}

// describe says how a peer is. The caller holds m.mu.
func (m *Manager) describe(u string, states map[string]node.PeerStatus) v1.Peer {
	p := v1.Peer{URL: u, State: v1.PeerConnecting, TokenFile: m.files[u]}
	if r := m.running[u]; r.ended() {
		p.State = v1.PeerRefused
		if r.err != nil {
			p.Error = r.err.Error()
		}
		return p
	}
	if st, ok := states[u]; ok {
		p.State, p.Name, p.Error = st.State, st.Name, st.Error
	}
	return p
}

// Close ends all connections and waits until they have ended.
func (m *Manager) Close() {
	m.cancel()
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, r := range m.running {
		<-r.done
	}
}
