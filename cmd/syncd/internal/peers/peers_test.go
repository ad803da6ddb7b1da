package peers_test

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/joinery-crdt/joinery/cmd/syncd/internal/peers"
	"github.com/joinery-crdt/joinery/cmd/syncd/internal/tokens"
	v1 "github.com/joinery-crdt/joinery/cmd/syncd/internal/v1"
	"github.com/joinery-crdt/joinery/store/memstore"
	"github.com/joinery-crdt/joinery/sync/node"
	"github.com/joinery-crdt/joinery/sync/wire"
	"github.com/joinery-crdt/joinery/sync/ws"
)

func TestNormalise(t *testing.T) {
	for text, want := range map[string]string{
		"192.0.2.7:7441":              "ws://192.0.2.7:7441/v1/sync",
		"192.0.2.7":                   "ws://192.0.2.7:7440/v1/sync",
		"[2001:db8::1]":               "ws://[2001:db8::1]:7440/v1/sync",
		"hub.example":                 "ws://hub.example:7440/v1/sync",
		"http://hub.example":          "ws://hub.example/v1/sync",
		"http://127.0.0.1:7440/":      "ws://127.0.0.1:7440/v1/sync",
		"https://hub.example":         "wss://hub.example/v1/sync",
		"wss://hub.example/other":     "wss://hub.example/other",
		"ws://127.0.0.1:7440/v1/sync": "ws://127.0.0.1:7440/v1/sync",
		"":                            "",
		"::1":                         "ws://[::1]:7440/v1/sync",
		"ftp://x":                     "",
		"http://user:secret@x":        "",
		"http://x/?token=1":           "",
		"http://x/#y":                 "",
		"http://":                     "",
		"http://x:port":               "",
		"http://x\x00":                "",
		"1:2:3":                       "",
	} {
		got, err := peers.Normalise(text)
		if _, ok := errors.AsType[*v1.Problem](err); got != want || ok != (want == "") {
			t.Errorf("Normalise(%q) = %q, %v, want %q", text, got, err, want)
		}
	}
}

func open(t *testing.T, path string, urls ...string) (*peers.Manager, error) {
	t.Helper()
	n, err := node.Open(t.Context(), node.Config{Store: memstore.New()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = n.Close() })
	m, err := peers.Open(peers.Config{
		Node: n, Path: path, Log: slog.New(slog.DiscardHandler),
		Dial: func(url string) (wire.Dialer, error) { return ws.NewDialer(url, ws.DialOptions{}) },
	}, urls)
	if err == nil {
		t.Cleanup(m.Close)
	}
	return m, err
}

func urls(m *peers.Manager) (found []string) {
	for _, p := range m.List() {
		found = append(found, p.URL)
	}
	return found
}

func TestListSurvives(t *testing.T) {
	path := filepath.Join(t.TempDir(), "peers.json")
	m, err := open(t, path, "127.0.0.1:1")
	if err != nil {
		t.Fatal(err)
	}
	for _, u := range []string{"127.0.0.1:3", "http://127.0.0.1:2", "127.0.0.1:2", "127.0.0.1:4"} {
		if _, err := m.Add(v1.NewPeer{URL: u}); err != nil {
			t.Fatal(err)
		}
	}
	kept, err := open(t, path) // as after a kill
	if err != nil {
		t.Fatal(err)
	}
	if got := urls(kept); len(got) != 3 {
		t.Errorf("peers after Add = %v, want 2, 3 and 4", got)
	}
	if found, err := m.Remove("127.0.0.1:4"); err != nil || !found {
		t.Errorf("Remove = %v, %v", found, err)
	}
	if found, err := m.Remove("127.0.0.1:9"); err != nil || found {
		t.Errorf("Remove of a stranger = %v, %v", found, err)
	}
	if got := urls(m); len(got) != 3 {
		t.Errorf("peers = %v, want 1, 2 and 3", got)
	}
	again, err := open(t, path)
	if err != nil {
		t.Fatal(err)
	}
	if got := urls(again); len(got) != 2 || got[0] != "ws://127.0.0.1:2/v1/sync" || got[1] != "ws://127.0.0.1:3/v1/sync" {
		t.Errorf("peers after a restart = %v, want those that were added", got)
	}
}

func TestUnusableListIsRefusedAndKept(t *testing.T) {
	for _, content := range []string{"", "{", `{"version":2}`, `{"version":1,"peers":["ftp://x"]}`, `{"version":1,"peers":[1]}`} {
		path := filepath.Join(t.TempDir(), "peers.json")
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := open(t, path); !errors.Is(err, peers.ErrFile) {
			t.Errorf("Open with the list %q = %v, want ErrFile", content, err)
		}
		if b, err := os.ReadFile(path); err != nil || string(b) != content {
			t.Errorf("the list is %q, %v now, was %q", b, err, content)
		}
	}
}

// TestPeerThatCannotBeKeptIsNotAdded: what is not durable is not promised.
func TestPeerThatCannotBeKeptIsNotAdded(t *testing.T) {
	m, err := open(t, filepath.Join(t.TempDir(), "gone", "peers.json"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.Add(v1.NewPeer{URL: "127.0.0.1:1"}); err == nil {
		t.Error("Add succeeds without a place for the list")
	}
	if got := urls(m); len(got) != 0 {
		t.Errorf("peers = %v, want none", got)
	}
}

func TestAddAfterCloseIsRefused(t *testing.T) {
	m, err := open(t, filepath.Join(t.TempDir(), "peers.json"))
	if err != nil {
		t.Fatal(err)
	}
	m.Close()
	if _, err := m.Add(v1.NewPeer{URL: "127.0.0.1:1"}); !errors.Is(err, node.ErrClosed) {
		t.Errorf("Add after Close = %v", err)
	}
}

// TestTokenFilesSurvive: which file belongs to a peer is remembered, and a file that
// holds no token is not taken.
func TestTokenFilesSurvive(t *testing.T) {
	path, file := filepath.Join(t.TempDir(), "peers.json"), filepath.Join(t.TempDir(), "token")
	m, err := open(t, path)
	if err != nil {
		t.Fatal(err)
	}
	for _, unusable := range []string{file, "token"} {
		if _, err := m.Add(v1.NewPeer{URL: "127.0.0.1:1", TokenFile: unusable}); err == nil {
			t.Errorf("Add with the file %s succeeds", unusable)
		}
	}
	if err := os.WriteFile(file, []byte(tokens.New()), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, peer := range []v1.NewPeer{{URL: "127.0.0.1:1", TokenFile: file}, {URL: "127.0.0.1:1"}, {URL: "127.0.0.1:2"}} {
		if _, err := m.Add(peer); err != nil {
			t.Fatal(err)
		}
	}
	again, err := open(t, path)
	if err != nil {
		t.Fatal(err)
	}
	if got := again.List(); len(got) != 2 || got[0].TokenFile != file || got[1].TokenFile != "" {
		t.Errorf("after a restart the peers are %+v", got)
	}
	if found, err := again.Remove("127.0.0.1:1"); err != nil || !found {
		t.Fatal(found, err)
	}
	if b, err := os.ReadFile(path); err != nil || bytes.Contains(b, []byte(file)) {
		t.Errorf("after the removal the list is %s, %v", b, err)
	}
}
