package main_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// guarded starts a device that asks for tokens, and makes one for its peer.
func guarded(t *testing.T, name string, issue ...string) (hub *device, tokenFile string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), name)
	tokenFile = filepath.Join(t.TempDir(), "laptop.token")
	ok(t, append([]string{"token", "issue", "laptop", "--dir", dir, "--out", tokenFile}, issue...)...)
	return serve(t, dir, "--heartbeat", "500ms"), tokenFile
}

// says waits until a device's status says all of the words.
func says(t *testing.T, d *device, words ...string) {
	t.Helper()
	last := ""
	defer func() {
		if t.Failed() {
			t.Logf("the status of %s was last\n%s", d.dir, last)
		}
	}()
	until(t, d.dir+" says "+strings.Join(words, ", "), func() bool {
		last = ok(t, "status", "--dir", d.dir)
		return containsAll(last, words)
	})
}

// TestTokenEndsAndIsReplaced: when a token ends, both sides say so; when another
// one is put into its place, changes flow again, without a restart.
func TestTokenEndsAndIsReplaced(t *testing.T) {
	hub, file := guarded(t, "hub", "--expires-in", "4s")
	laptop := serve(t, filepath.Join(t.TempDir(), "laptop"), "--heartbeat", "500ms")
	if got := ok(t, "peers", "add", hub.base, "--token-file", file, "--dir", laptop.dir); !strings.Contains(got, "connected to hub") {
		t.Errorf("peers add: %s", got)
	}
	ok(t, "add", "notes", "tags", "home", "--dir", laptop.dir)
	until(t, "the hub has it", func() bool { return holds(t, hub, "notes", "tags") == "home\n" })
	says(t, laptop, "needs_auth", "credential ended", "into "+file)
	says(t, hub, "credential_refused", "laptop", "ended at")
	ok(t, "add", "notes", "tags", "garden", "--dir", laptop.dir)
	ok(t, "token", "issue", "laptop", "--dir", hub.dir, "--out", file)
	until(t, "the hub has what was written meanwhile", func() bool { return holds(t, hub, "notes", "tags") == "home\ngarden\n" })
	says(t, laptop, "no problems")
	says(t, hub, "no problems")
}

// holds returns what an object holds, by the command line.
func holds(t *testing.T, d *device, space, key string) string {
	t.Helper()
	return syncd(t, "get", space, key, "--dir", d.dir).stdout
}

// TestRevokedTokenActsAtOnce, on links and on requests, and on a watch that runs.
func TestRevokedTokenActsAtOnce(t *testing.T) {
	hub, file := guarded(t, "hub")
	laptop := serve(t, filepath.Join(t.TempDir(), "laptop"), "--peer", hub.base, "--peer-token", file)
	ok(t, "add", "notes", "tags", "home", "--dir", laptop.dir)
	until(t, "the hub has it", func() bool { return holds(t, hub, "notes", "tags") == "home\n" })
	watch := begin(t, environment(t), program, "watch", "notes", "--addr", hub.base, "--bearer", file)
	until(t, "the watch runs", func() bool { return strings.Contains(watch.log.String(), "watching") })
	ok(t, "token", "revoke", "laptop", "--dir", hub.dir)
	if got := ok(t, "token", "list", "--dir", hub.dir); got != "" {
		t.Errorf("tokens: %s", got)
	}
	if r := syncd(t, "get", "notes", "tags", "--addr", hub.base, "--bearer", file); r.code != 5 || !strings.Contains(r.stderr, "revoked") {
		t.Errorf("get with a revoked token: %+v", r)
	}
	says(t, laptop, "needs_auth", "revoked")
	says(t, hub, "credential_refused", "revoked")
	ok(t, "add", "notes", "tags", "secret", "--dir", hub.dir)
	if code := watch.wait(t); code != 5 || strings.Contains(watch.log.String(), "secret") {
		t.Errorf("the watch ended with %d: %s", code, watch.log)
	}
	if got := holds(t, laptop, "notes", "tags"); got != "home\n" {
		t.Errorf("the laptop has %q", got)
	}
}

// TestPeerWithoutATokenIsToldAtOnce, and so is one whose token is for another space.
func TestPeerWithoutATokenIsToldAtOnce(t *testing.T) {
	hub, file := guarded(t, "hub", "--space", "shared")
	laptop := serve(t, filepath.Join(t.TempDir(), "laptop"), "--heartbeat", "500ms")
	r := syncd(t, "peers", "add", hub.base, "--dir", laptop.dir)
	if r.code != 5 || !containsAll(r.stderr, []string{"no token was shown", "syncd token issue NAME", "--token-file FILE"}) {
		t.Errorf("peers add without a token: %+v", r)
	}
	says(t, laptop, "needs_auth", "syncd token issue NAME", "peers add "+strings.Replace(hub.base, "http", "ws", 1)+"/v1/sync --token-file FILE")
	says(t, hub, "credential_refused (laptop)", "no token was shown", "syncd token issue NAME")
	ok(t, "add", "shared", "k", "x", "--dir", laptop.dir)
	ok(t, "add", "private", "k", "y", "--dir", laptop.dir)
	ok(t, "peers", "add", hub.base, "--token-file", file, "--dir", laptop.dir)
	until(t, "what is shared is there", func() bool { return holds(t, hub, "shared", "k") == "x\n" })
	says(t, laptop, "space_forbidden (private")
	if got := syncd(t, "get", "private", "k", "--dir", hub.dir); got.code != 4 {
		t.Errorf("what is private is there: %+v", got)
	}
	laptop.kill(t)
	laptop = laptop.again(t)
	until(t, "the token is remembered", func() bool { return strings.Contains(ok(t, "peers", "--dir", laptop.dir), "connected") })
}

// TestListensElsewhereWithTokensOnly: with neither tokens nor the word of who starts
// it, a daemon stays on its machine.
func TestListensElsewhereWithTokensOnly(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "hub")
	if r := syncd(t, "serve", "--dir", dir, "--listen", "0.0.0.0:0"); r.code != 2 || !strings.Contains(r.stderr, "syncd token issue") {
		t.Errorf("serve: %+v", r)
	}
	ok(t, "token", "issue", "laptop", "--dir", dir)
	hub := serve(t, dir, "--listen", "0.0.0.0:0")
	ok(t, "set", "s", "k", "v", "--dir", dir)
	if !strings.Contains(hub.log.String(), "no TLS") {
		t.Errorf("it does not say that tokens can be read: %s", hub.log)
	}
	for _, path := range []string{"/v1/status", "/v1/spaces", "/v1/spaces/s/objects", "/v1/spaces/none/objects", "/v1/peers", "/v1/quarantine"} {
		resp, err := http.Get(hub.base + path)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusUnauthorized || resp.Header.Get("WWW-Authenticate") != "Bearer" {
			t.Errorf("GET %s without a token: %s", path, resp.Status)
		}
	}
	if got := get(t, hub.base+"/livez"); !strings.Contains(got, "alive") {
		t.Errorf("livez: %s", got)
	}
}

// certificates writes a certificate of its own authority, and the key, to files.
func certificates(t *testing.T) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "hub"}, DNSNames: []string{"localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalECPrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for path, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "EC PRIVATE KEY", Bytes: keyDER}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}

// TestTLS: peers and programs connect with TLS, and the command line knows its own
// daemon by its certificate, whatever name that is for.
func TestTLS(t *testing.T) {
	cert, key := certificates(t)
	dir, file := filepath.Join(t.TempDir(), "hub"), filepath.Join(t.TempDir(), "laptop.token")
	ok(t, "token", "issue", "laptop", "--dir", dir, "--out", file)
	args := []string{"serve", "--dir", dir, "--name", "hub", "--listen", "127.0.0.1:0", "--tls-cert", cert, "--tls-key", key}
	hub := begin(t, environment(t), program, args...)
	base := strings.Replace(strings.Fields(hub.line(t, "listening on https://"))[2], "127.0.0.1", "localhost", 1)
	ok(t, "add", "notes", "tags", "home", "--dir", dir)

	stranger := serve(t, filepath.Join(t.TempDir(), "stranger"))
	if r := syncd(t, "peers", "add", base, "--token-file", file, "--dir", stranger.dir); r.code == 0 && strings.Contains(r.stdout, "connected to") {
		t.Errorf("who does not trust the authority is connected: %+v", r)
	}
	says(t, stranger, "untrusted_certificate")
	laptop := serve(t, filepath.Join(t.TempDir(), "laptop"), "--tls-ca", cert)
	ok(t, "peers", "add", base, "--token-file", file, "--dir", laptop.dir)
	until(t, "the laptop has it", func() bool { return holds(t, laptop, "notes", "tags") == "home\n" })

	newCert, newKey := certificates(t)
	replace(t, newCert, cert)
	replace(t, newKey, key)
	until(t, "the new certificate is noted", func() bool {
		want, err := os.ReadFile(cert)
		got, _ := os.ReadFile(filepath.Join(dir, "server.pem"))
		return err == nil && string(got) == string(want)
	})
	ok(t, "status", "--dir", dir)
	if r := syncd(t, "serve", "--dir", filepath.Join(t.TempDir(), "x"), "--tls-cert", cert); r.code != 2 || !strings.Contains(r.stderr, "go together") {
		t.Errorf("serve with half of a certificate: %+v", r)
	}
}

func replace(t *testing.T, from, to string) {
	t.Helper()
	if err := os.Rename(from, to); err != nil {
		t.Fatal(err)
	}
}
