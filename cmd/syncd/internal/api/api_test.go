package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/joinery-crdt/joinery/cmd/syncd/internal/api"
	"github.com/joinery-crdt/joinery/cmd/syncd/internal/client"
	"github.com/joinery-crdt/joinery/cmd/syncd/internal/jsonvalue"
	"github.com/joinery-crdt/joinery/cmd/syncd/internal/objects"
	"github.com/joinery-crdt/joinery/cmd/syncd/internal/peers"
	"github.com/joinery-crdt/joinery/cmd/syncd/internal/tokens"
	v1 "github.com/joinery-crdt/joinery/cmd/syncd/internal/v1"
	"github.com/joinery-crdt/joinery/crdt"
	"github.com/joinery-crdt/joinery/merge"
	"github.com/joinery-crdt/joinery/store"
	"github.com/joinery-crdt/joinery/store/memstore"
	"github.com/joinery-crdt/joinery/sync/node"
	"github.com/joinery-crdt/joinery/sync/wire"
	"github.com/joinery-crdt/joinery/sync/ws"
)

// device is a node in memory behind the API.
type device struct {
	node *node.Node
	url  string
	dir  string
	api  *client.Client
	stop context.CancelFunc
}

func serve(t *testing.T, cfg node.Config) *device {
	t.Helper()
	return serveGuarded(t, cfg, nil)
}

// serveGuarded serves a device that asks for the tokens in a book.
func serveGuarded(t *testing.T, cfg node.Config, book *tokens.Book) *device {
	t.Helper()
	if cfg.Store == nil {
		cfg.Store = memstore.New()
	}
	n, err := node.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	p, err := peers.Open(peers.Config{
		Node: n, Path: filepath.Join(dir, "peers.json"), Log: slog.New(slog.DiscardHandler),
		Dial: func(url string) (wire.Dialer, error) { return ws.NewDialer(url, ws.DialOptions{}) },
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	stopped, stop := context.WithCancel(context.Background())
	srv := httptest.NewUnstartedServer(api.Handler(api.Config{
		Node: n, Peers: p, Stop: stopped, Tokens: book, Hosts: []string{"hub.example"}, About: v1.Status{Version: "test", Dir: dir},
		Accept: func(w http.ResponseWriter, r *http.Request) (wire.Conn, error) {
			return ws.Accept(w, r, ws.AcceptOptions{})
		},
	}))
	srv.Config.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
		_ = c.(*net.TCPConn).SetWriteBuffer(128 << 10) // so that slow clients are felt soon
		return ctx
	}
	srv.Start()
	t.Cleanup(func() {
		stop()
		p.Close()
		srv.Close()
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	})
	return &device{node: n, url: srv.URL, dir: dir, api: client.New(srv.URL, ""), stop: stop}
}

func (d *device) do(t *testing.T, space string, ops ...v1.Op) v1.Written {
	t.Helper()
	w, err := d.api.Do(t.Context(), space, ops...)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// get returns what the API answers, as JSON.
func (d *device) get(t *testing.T, path string) string {
	t.Helper()
	resp, err := http.Get(d.url + path)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("GET %s: %s, %v: %s", path, resp.Status, err, b)
	}
	return string(b)
}

func value(t *testing.T, text string) jsonvalue.Value {
	t.Helper()
	v, err := jsonvalue.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func by(n int64) *int64 { return &n }

func TestEveryTypeIsWrittenAndRead(t *testing.T) {
	d := serve(t, node.Config{})
	var tried []string
	for _, c := range []struct {
		kind string
		ops  string
		want string
	}{
		{"gset", `{"op":"add","value":"b"},{"op":"add","value":["a",1]}`, `"elements":["b",["a",1]]`},
		{"orset", `{"op":"add","value":1},{"op":"add","value":2},{"op":"remove","value":1}`, `"elements":[2]`},
		{"rwset", `{"op":"add","value":1},{"op":"add","value":2},{"op":"remove","value":1}`, `"elements":[2]`},
		{"twopset", `{"op":"add","value":1},{"op":"remove","value":1}`, `"elements":[]`},
		{"lww", `{"op":"set","value":1},{"op":"set","value":{"b":1.5,"a":null}}`, `"value":{"a":null,"b":1.5}`},
		{"mvregister", `{"op":"set","value":null}`, `"values":[null]`},
		{"pncounter", `{"op":"inc"},{"op":"inc","by":-3}`, `"value":-2`},
		{"gcounter", `{"op":"inc"},{"op":"inc","by":0},{"op":"inc","by":9007199254740993}`, `"value":9007199254740994`},
		{"bounded", `{"op":"inc","by":5},{"op":"inc","by":-3}`, `"value":2,"rights":{"` + d.node.Origin().String() + `":2}`},
		{"ewflag", `{"op":"enable"}`, `"value":true`},
		{"dwflag", `{"op":"enable"},{"op":"disable"}`, `"value":false`},
		{"uset", `{"op":"add","value":"one"},{"op":"add","value":null}`, `"elements":["one",null]`},
		{"lwwset", `{"op":"add","value":1},{"op":"add","value":2},{"op":"remove","value":1}`, `"elements":[2]`},
		{"lwwset-remove", `{"op":"remove","value":1},{"op":"add","value":1}`, `"elements":[1]`},
		{"pnset", `{"op":"add","value":1},{"op":"remove","value":2},{"op":"add","value":3},{"op":"add","value":3}`, `"elements":[1,3]`},
		{
			"lwwmap", `{"op":"set","field":"name","value":"Ada"},{"op":"set","field":"age","value":1},{"op":"remove","field":"age"},{"op":"set","field":[1,null],"value":null}`,
			`"fields":[{"field":"name","value":"Ada","change":"` + d.node.Origin().String() + "/",
		},
	} {
		tried = append(tried, c.kind)
		body := `{"ops":[` + strings.ReplaceAll(c.ops, `{"op"`, fmt.Sprintf(`{"type":%q,"key":"k","op"`, c.kind)) + `]}`
		resp, err := http.Post(d.url+"/v1/spaces/s/tx", "", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		got := d.get(t, "/v1/spaces/s/objects/"+c.kind+"/k")
		if resp.StatusCode != http.StatusOK || !strings.Contains(got, c.want) || !strings.Contains(got, fmt.Sprintf(`"space":"s","key":"k","type":%q`, c.kind)) {
			t.Errorf("%s after %s: %s, %s, want %s", c.kind, c.ops, resp.Status, got, c.want)
		}
	}
	want := slices.DeleteFunc(crdt.Builtin().Names(), func(kind string) bool { return kind == "ormap" })
	if slices.Sort(tried); !slices.Equal(tried, want) {
		t.Errorf("the test tries %q, want %q", tried, want)
	}
	if got := objects.Types(); !slices.Equal(got, crdt.Builtin().Names()) {
		t.Errorf("types are %q, want those of the package", got)
	}
}

func TestDefaultTypes(t *testing.T) {
	d := serve(t, node.Config{})
	d.do(t, "s", v1.Op{Op: "add", Key: "k", Value: value(t, `1`)}, v1.Op{Op: "set", Key: "k", Value: value(t, `2`)}, v1.Op{Op: "inc", Key: "k"})
	d.do(t, "s", v1.Op{Op: "reset", Key: "k"}, v1.Op{Op: "disable", Key: "k"}, v1.Op{Op: "enable", Key: "k"})
	d.do(t, "s", v1.Op{Op: "set", Key: "k", Field: value(t, `1`), Value: value(t, `2`)}, v1.Op{Op: "remove", Key: "k", Field: value(t, `1`)})
	got, err := d.api.AllObjects(t.Context(), "s", "")
	want := []node.Object{{Key: "k", Kind: "ewflag"}, {Key: "k", Kind: "lww"}, {Key: "k", Kind: "lwwmap"}, {Key: "k", Kind: "orset"}, {Key: "k", Kind: "pncounter"}}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("objects = %v, %v, want %v", got, err, want)
	}
	if o, err := d.api.Object(t.Context(), "s", "pncounter", "k"); err != nil || o.Value.Text() != "0" {
		t.Errorf("the counter after a reset is %s, %v, want 0", o.Value.Text(), err)
	}
}

func TestOneOperation(t *testing.T) {
	d := serve(t, node.Config{})
	resp, err := http.Post(d.url+"/v1/spaces/s/objects/orset/a/b", "", strings.NewReader(`{"op":"add","value":"x"}`))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var w v1.Written
	if err := json.NewDecoder(resp.Body).Decode(&w); err != nil || !w.Changed || w.Change != d.node.Origin().String()+"/1" {
		t.Errorf("answer = %+v, %v", w, err)
	}
	if o, err := d.api.Object(t.Context(), "s", "orset", "a/b"); err != nil || len(o.Elements) != 1 {
		t.Errorf("object = %+v, %v", o, err)
	}
}

func TestNamesOfAnyKind(t *testing.T) {
	d := serve(t, node.Config{})
	for _, name := range []string{"a b", "a/b", "/", "//x//", ".", "..", "a/../b", "...", "%2F", "ü/é", "\x00", "?x=1&y#z", "+", strings.Repeat("ä", 127)} {
		d.do(t, name, v1.Op{Op: "set", Key: name, Value: value(t, `1`)})
		o, err := d.api.Object(t.Context(), name, "lww", name)
		if err != nil || o.Key != name || o.Space != name {
			t.Errorf("object %q = %+v, %v", name, o, err)
		}
		page, err := d.api.Objects(t.Context(), name, name, "", 10)
		if err != nil || len(page.Objects) != 1 || page.Objects[0].Key != name {
			t.Errorf("objects of %q = %v, %v", name, page, err)
		}
	}
}

func TestPagesCoverAllObjectsOnce(t *testing.T) {
	d := serve(t, node.Config{})
	var want []node.Object
	for i := range 25 {
		key := fmt.Sprintf("k%02d", i)
		d.do(t, "s", v1.Op{Op: "set", Key: key, Value: value(t, `1`)}, v1.Op{Op: "add", Key: key, Value: value(t, `1`)})
		want = append(want, node.Object{Key: key, Kind: "lww"}, node.Object{Key: key, Kind: "orset"})
	}
	var got []node.Object
	pages := 0
	for after := ""; ; pages++ {
		page, err := d.api.Objects(t.Context(), "s", "k", after, 7)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, page.Objects...)
		if after = page.Next; after == "" {
			break
		}
	}
	if !slices.Equal(got, want) || pages != 7 {
		t.Errorf("%d full pages with %v, want 7 with %v", pages, got, want)
	}
}

func TestConflictIsShown(t *testing.T) {
	a, b := serve(t, node.Config{}), serve(t, node.Config{})
	a.do(t, "s", v1.Op{Op: "set", Type: "mvregister", Key: "k", Value: value(t, `"of a"`)})
	b.do(t, "s", v1.Op{Op: "set", Type: "mvregister", Key: "k", Value: value(t, `"of b"`)})
	carry(t, a, b, "s")
	o, err := b.api.Object(t.Context(), "s", "mvregister", "k")
	if err != nil || !o.Conflict || len(o.Values) != 2 {
		t.Errorf("object = %+v, %v, want two values and a conflict", o, err)
	}
	b.do(t, "s", v1.Op{Op: "set", Type: "mvregister", Key: "k", Value: value(t, `"both"`)})
	if o, err := b.api.Object(t.Context(), "s", "mvregister", "k"); err != nil || o.Conflict || o.Values[0].Text() != `"both"` {
		t.Errorf("decided object = %+v, %v", o, err)
	}
}

// carry brings a space from a to b as a drop file.
func carry(t *testing.T, a, b *device, space string) node.ImportReport {
	t.Helper()
	var file bytes.Buffer
	if err := a.api.Export(t.Context(), space, &file); err != nil {
		t.Fatal(err)
	}
	report, err := b.api.Import(t.Context(), &file)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

func TestDropFileCarriesASpace(t *testing.T) {
	a, b := serve(t, node.Config{}), serve(t, node.Config{})
	for i := range 100 {
		a.do(t, "s", v1.Op{Op: "add", Key: "k", Value: value(t, fmt.Sprint(i))})
	}
	if got, want := carry(t, a, b, "s"), (node.ImportReport{Space: "s", Applied: 100}); got != want {
		t.Errorf("report = %+v, want %+v", got, want)
	}
	if got, want := carry(t, a, b, "s"), (node.ImportReport{Space: "s", Duplicate: 100}); got != want {
		t.Errorf("second report = %+v, want %+v", got, want)
	}
	if x, y := a.node.Space("s").Summary(), b.node.Space("s").Summary(); x.Cells != y.Cells || y.Changes != 100 {
		t.Errorf("summaries differ: %+v, %+v", x, y)
	}
}

func TestPeersSyncOverTheAPI(t *testing.T) {
	a, b := serve(t, node.Config{Name: "a"}), serve(t, node.Config{Name: "b"})
	b.do(t, "s", v1.Op{Op: "add", Key: "k", Value: value(t, `"x"`)})
	w, err := a.api.Watch(t.Context(), "s", "")
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if p, err := a.api.AddPeer(t.Context(), v1.NewPeer{URL: b.url}); err != nil || p.URL != "ws"+b.url[4:]+"/v1/sync" {
		t.Fatalf("AddPeer = %+v, %v", p, err)
	}
	for ev, err := range w.Events(t.Context()) {
		if err != nil || ev.Element.Text() != `"x"` || ev.Local {
			t.Errorf("event = %+v, %v, want that x came from b", ev, err)
		}
		break
	}
	list, err := a.api.Peers(t.Context())
	if err != nil || len(list.Peers) != 1 || list.Peers[0].State != v1.PeerConnected || list.Peers[0].Name != "b" {
		t.Errorf("peers = %+v, %v", list, err)
	}
	if err := a.api.RemovePeer(t.Context(), b.url); err != nil {
		t.Error(err)
	}
	if list, err := a.api.Peers(t.Context()); err != nil || len(list.Peers) != 0 {
		t.Errorf("peers after the removal = %+v, %v", list, err)
	}
}

func TestStatusNamesAPeerThatRefuses(t *testing.T) {
	d := serve(t, node.Config{})
	if _, err := d.api.AddPeer(t.Context(), v1.NewPeer{URL: d.url}); err != nil {
		t.Fatal(err)
	}
	for {
		st, err := d.api.Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		i := slices.IndexFunc(st.Problems, func(p node.Problem) bool { return p.Code == "self" })
		if i >= 0 {
			if p := st.Problems[i]; p.Cause == "" || !strings.Contains(p.Action, "peers remove") {
				t.Errorf("problem = %+v, want a cause and what to do", p)
			}
			return
		}
	}
}

func TestHealth(t *testing.T) {
	d := serve(t, node.Config{})
	for path, want := range map[string]string{"/livez": "alive", "/readyz": "ready"} {
		if got := d.get(t, path); !strings.Contains(got, want) {
			t.Errorf("%s = %s", path, got)
		}
	}
	d.do(t, "s", v1.Op{Op: "inc", Key: "k"})
	if got := d.get(t, "/v1/spaces"); !strings.Contains(got, `"name":"s","changes":1`) {
		t.Errorf("spaces = %s", got)
	}
	st, err := d.api.Status(t.Context())
	if err != nil || st.Version != "test" || st.Origin != d.node.Origin() || len(st.Spaces) != 1 {
		t.Errorf("status = %+v, %v", st, err)
	}
}

// failing is a store whose updates fail when told to.
type failing struct {
	store.Store
	err    error
	health error
}

func (f *failing) Health() error { return f.health }

func (f *failing) Update(ctx context.Context, fn func(store.Tx) error) error {
	if f.err != nil {
		return f.err
	}
	return f.Store.Update(ctx, fn)
}

func TestFailedStoreIsSaid(t *testing.T) {
	st := &failing{Store: memstore.New()}
	d := serve(t, node.Config{Store: st})
	d.do(t, "s", v1.Op{Op: "inc", Key: "k"})
	st.err = fmt.Errorf("disk: %w", store.ErrUncertain)
	_, err := d.api.Do(t.Context(), "s", v1.Op{Op: "inc", Key: "k"})
	if p, ok := errors.AsType[*v1.Problem](err); !ok || p.Code != v1.StoreFailed || p.Status != http.StatusServiceUnavailable || p.Hint == "" {
		t.Errorf("write = %v, want store_failed", err)
	}
	wantReady(t, d, http.StatusServiceUnavailable)
	if o, err := d.api.Object(t.Context(), "s", "pncounter", "k"); err != nil || o.Value.Text() != "1" {
		t.Errorf("the counter is %s, %v, want 1 as acknowledged", o.Value.Text(), err)
	}
}

func wantReady(t *testing.T, d *device, want int) {
	t.Helper()
	resp, err := http.Get(d.url + "/readyz")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != want {
		t.Errorf("readyz = %s, want %d", resp.Status, want)
	}
}

func TestUnavailableStoreIsNotReady(t *testing.T) {
	st := &failing{Store: memstore.New()}
	d := serve(t, node.Config{Store: st})
	wantReady(t, d, http.StatusOK)
	st.health = errors.New("disk: gone")
	wantReady(t, d, http.StatusServiceUnavailable)
	if got := d.get(t, "/v1/status"); !strings.Contains(got, `"code":"store_unavailable"`) || !strings.Contains(got, "disk: gone") {
		t.Errorf("status = %s", got)
	}
}

var origin = merge.Origin{1}

// forked returns a device that writes under the same origin as others do.
func forked(t *testing.T) *device {
	t.Helper()
	return serve(t, node.Config{NewOrigin: func() merge.Origin { return origin }})
}
