package api_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/joinery-crdt/joinery/cmd/syncd/internal/tokens"
	v1 "github.com/joinery-crdt/joinery/cmd/syncd/internal/v1"
	"github.com/joinery-crdt/joinery/sync/node"
)

// TestBearers asks for everything with each kind of token.
func TestBearers(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tokens.json")
	bearers := map[string]string{"nobody": "", "stranger": tokens.New()}
	for _, e := range []tokens.Entry{
		{Name: "reader", Access: tokens.Read, Spaces: []string{"s"}},
		{Name: "writer", Access: tokens.Write, Spaces: []string{"s"}},
		{Name: "admin", Access: tokens.Admin},
	} {
		token, err := tokens.Issue(path, e)
		if err != nil {
			t.Fatal(err)
		}
		bearers[e.Name] = token
	}
	book, err := tokens.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	d := serveGuarded(t, node.Config{}, book)
	d.api.Authorize(bearers["admin"])
	d.do(t, "s", v1.Op{Op: "add", Key: "k", Value: value(t, `"x"`)})
	d.do(t, "secret", v1.Op{Op: "add", Key: "k", Value: value(t, `"x"`)})
	files := make(map[string]string)
	for _, space := range []string{"s", "secret"} {
		var file bytes.Buffer
		if _, err := d.node.Space(space).Export(t.Context(), &file, node.Cut{}); err != nil {
			t.Fatal(err)
		}
		files[space] = file.String()
	}
	const add = `{"op": "add", "value": "y"}`
	for _, c := range []struct {
		method, path, body string
		allowed            string // who gets something else than 401 or 403
	}{
		{"GET", "/livez", "", "nobody stranger reader writer admin"},
		{"GET", "/readyz", "", "nobody stranger reader writer admin"},
		{"GET", "/v1/spaces", "", "reader writer admin"},
		{"GET", "/v1/spaces/s/objects", "", "reader writer admin"},
		{"GET", "/v1/spaces/s/objects/orset/k", "", "reader writer admin"},
		{"GET", "/v1/spaces/s/export", "", "reader writer admin"},
		{"POST", "/v1/spaces/s/objects/orset/k", add, "writer admin"},
		{"POST", "/v1/spaces/s/tx", `{"ops": [{"op": "add", "key": "k", "value": 1}]}`, "writer admin"},
		{"POST", "/v1/import", files["s"], "writer admin"},
		{"POST", "/v1/import", files["secret"], "admin"},
		{"GET", "/v1/spaces/secret/objects", "", "admin"},
		{"GET", "/v1/spaces/none/objects", "", "admin"},
		{"POST", "/v1/spaces/secret/objects/orset/k", add, "admin"},
		{"GET", "/v1/status", "", "admin"},
		{"GET", "/v1/peers", "", "admin"},
		{"POST", "/v1/peers", `{"url": "127.0.0.1:1"}`, "admin"},
		{"DELETE", "/v1/peers?url=127.0.0.1:1", "", "admin"},
		{"GET", "/v1/devices", "", "admin"},
		{"POST", "/v1/devices/retire", `{"device": "x"}`, "admin"},
		{"POST", "/v1/devices/return", `{"device": "x"}`, "admin"},
		{"GET", "/v1/quarantine", "", "admin"},
		{"POST", "/v1/quarantine/retry", `{}`, "admin"},
		{"POST", "/v1/quarantine/drop", `{}`, "admin"},
	} {
		for who, token := range bearers {
			want := map[bool]string{true: "", false: v1.Forbidden}[strings.Contains(c.allowed, who)]
			if want != "" && (who == "nobody" || who == "stranger") {
				want = v1.Unauthenticated
			}
			if got := refusal(t, c.method, d.url+c.path, c.body, token); got != want {
				t.Errorf("%s %s by the %s: %q, want %q", c.method, c.path, who, got, want)
			}
		}
	}
}

// refusal asks with a token and returns the code with which that is refused.
func refusal(t *testing.T, method, url, body, token string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusUnauthorized && resp.StatusCode != http.StatusForbidden {
		return ""
	}
	b, err := io.ReadAll(resp.Body)
	var p v1.Problem
	if err != nil || json.Unmarshal(b, &p) != nil {
		t.Fatalf("%s %s: %s", method, url, b)
	}
	return p.Code
}

// TestSpacesAreListedForTheirBearers: a name that a token does not cover is not told.
func TestSpacesAreListedForTheirBearers(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tokens.json")
	token, err := tokens.Issue(path, tokens.Entry{Name: "reader", Access: tokens.Read, Spaces: []string{"s"}})
	if err != nil {
		t.Fatal(err)
	}
	book, err := tokens.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	d := serveGuarded(t, node.Config{}, book)
	local := book.Local()
	d.api.Authorize(local)
	d.do(t, "s", v1.Op{Op: "inc", Key: "k"})
	d.do(t, "secret", v1.Op{Op: "inc", Key: "k"})
	for bearer, want := range map[string]int{local: 2, token: 1} {
		d.api.Authorize(bearer)
		if got, err := d.api.Spaces(t.Context()); err != nil || len(got.Spaces) != want {
			t.Errorf("spaces = %+v, %v; want %d", got, err, want)
		}
	}
}
