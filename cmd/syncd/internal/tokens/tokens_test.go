package tokens_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/joinery-crdt/joinery/cmd/syncd/internal/tokens"
	crdtsync "github.com/joinery-crdt/joinery/sync"
	"github.com/joinery-crdt/joinery/sync/wire"
)

// list returns the path of a list with one token, and the token.
func list(t *testing.T, e tokens.Entry) (path, token string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "tokens.json")
	return path, issue(t, path, e)
}

func issue(t *testing.T, path string, e tokens.Entry) string {
	t.Helper()
	token, err := tokens.Issue(path, e)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func auth(token string) crdtsync.Auth {
	return crdtsync.Auth{Scheme: "token", Credential: []byte(token)}
}

func TestMay(t *testing.T) {
	for _, c := range []struct {
		entry tokens.Entry
		space string
		want  crdtsync.Access
	}{
		{tokens.Entry{Access: tokens.Write, Spaces: []string{"*"}}, "s", crdtsync.AccessWrite},
		{tokens.Entry{Access: tokens.Read, Spaces: []string{"*"}}, "s", crdtsync.AccessRead},
		{tokens.Entry{Access: tokens.Write, Spaces: []string{"r", "s"}}, "s", crdtsync.AccessWrite},
		{tokens.Entry{Access: tokens.Write, Spaces: []string{"r"}}, "s", crdtsync.AccessNone},
		{tokens.Entry{Access: tokens.Read, Spaces: []string{"s"}}, "st", crdtsync.AccessNone},
		{tokens.Entry{Access: tokens.Admin}, "s", crdtsync.AccessWrite},
		{tokens.Entry{}, "s", crdtsync.AccessNone},
		{tokens.Entry{Spaces: []string{"s"}}, "s", crdtsync.AccessRead}, // no list holds such a one
	} {
		if got := c.entry.May(c.space); got != c.want {
			t.Errorf("%+v in %s: %v, want %v", c.entry, c.space, got, c.want)
		}
	}
}

// TestBookFollowsItsFile: what is issued counts, what is revoked does not, and a list
// that is broken leaves the last one in force.
func TestBookFollowsItsFile(t *testing.T) {
	path, first := list(t, tokens.Entry{Name: "a", Access: tokens.Write, Spaces: []string{"s"}})
	b, err := tokens.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	b.Refresh()
	grant, err := b.Verify(nil, auth(first))
	if err != nil || grant.Access("s") != crdtsync.AccessWrite || grant.Access("t") != crdtsync.AccessNone || grant.Until != 0 {
		t.Errorf("Verify = %+v, %v", grant, err)
	}
	if b.Refresh() {
		t.Error("there is news of a list that has not changed")
	}
	second := issue(t, path, tokens.Entry{Name: "b", Access: tokens.Read, Spaces: []string{"*"}, Expires: time.Now().Add(time.Hour)})
	if e, err := b.Check(second); err != nil || e.Name != "b" {
		t.Errorf("Check of what was issued = %+v, %v", e, err)
	}
	if grant, err := b.Verify(nil, auth(second)); err != nil || grant.Until == 0 {
		t.Errorf("Verify of one that ends = %+v, %v", grant, err)
	}
	if !b.Refresh() || b.Refresh() {
		t.Error("what a check has read is no news any more, or is news twice")
	}
	if err := tokens.Revoke(path, "a"); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Check(first); !errors.Is(err, tokens.ErrToken) {
		t.Errorf("Check of what was revoked = %v", err)
	}
	if got := grant.Access("s"); got != crdtsync.AccessNone {
		t.Errorf("a grant of it still allows %v", got)
	}
	write(t, path, "{")
	if _, err := b.Check(second); err != nil || len(b.Problems()) != 1 {
		t.Errorf("with a broken list Check = %v, problems %v", err, b.Problems())
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Check(second); err != nil || len(b.Problems()) != 1 {
		t.Errorf("without a list Check = %v, problems %v", err, b.Problems())
	}
}

func TestBookRefuses(t *testing.T) {
	path, _ := list(t, tokens.Entry{Name: "a", Access: tokens.Write, Spaces: []string{"s"}})
	ended := issue(t, path, tokens.Entry{Name: "ended", Access: tokens.Admin, Expires: time.Now().Add(-time.Second)})
	b, err := tokens.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	local := b.Local()
	for name, c := range map[string]struct {
		auth crdtsync.Auth
		want string
	}{
		"another":                {auth(tokens.New()), "not known"},
		"nothing":                {auth(""), "not known"},
		"no token":               {crdtsync.Auth{Scheme: "none"}, "no token was shown"},
		"one that has ended":     {auth(ended), `"ended" ended at`},
		"the one of the machine": {auth(local), "not known"},
	} {
		if _, err := b.Verify(nil, c.auth); !errors.Is(err, tokens.ErrToken) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	if e, err := b.Check(local); err != nil || e.Access != tokens.Admin {
		t.Errorf("Check of the one of the machine = %+v, %v", e, err)
	}
	if again := b.Local(); again == local {
		t.Error("the token of the machine stays the same")
	} else if _, err := b.Check(local); err == nil {
		t.Error("the one before is still good")
	}
}

func TestIssueRefuses(t *testing.T) {
	path, _ := list(t, tokens.Entry{Name: "a", Access: tokens.Write, Spaces: []string{"s"}})
	for name, e := range map[string]tokens.Entry{
		"the same name": {Name: "a", Access: tokens.Read, Spaces: []string{"s"}},
		"no name":       {Access: tokens.Read, Spaces: []string{"s"}},
		"no spaces":     {Name: "b", Access: tokens.Read},
		"no access":     {Name: "b", Access: "all", Spaces: []string{"s"}},
	} {
		if _, err := tokens.Issue(path, e); !errors.Is(err, tokens.ErrName) {
			t.Errorf("%s: %v, want ErrName", name, err)
		}
	}
	if err := tokens.Revoke(path, "b"); !errors.Is(err, tokens.ErrName) {
		t.Errorf("Revoke of none = %v", err)
	}
	issue(t, path, tokens.Entry{Name: "e", Access: tokens.Admin, Expires: time.Now().Add(-time.Hour)})
	issue(t, path, tokens.Entry{Name: "e", Access: tokens.Admin})
	if got, err := tokens.Load(path); err != nil || len(got) != 2 || !got[1].Expires.IsZero() {
		t.Errorf("the list is %+v, %v; want the one that ended replaced", got, err)
	}
}

func TestLoadRefuses(t *testing.T) {
	token := tokens.New()
	hash := strings.Repeat("ab", 32)
	for name, text := range map[string]string{
		"nothing":        "",
		"another file":   `{"version": 2, "tokens": []}`,
		"another field":  `{"version": 1, "tokens": [], "x": 1}`,
		"neither":        `{"version": 1, "tokens": [{"name": "a", "spaces": ["*"], "access": "read"}]}`,
		"both":           `{"version": 1, "tokens": [{"name": "a", "token": "` + token + `", "sha256": "` + hash + `", "spaces": ["*"], "access": "read"}]}`,
		"a short hash":   `{"version": 1, "tokens": [{"name": "a", "sha256": "abcd", "spaces": ["*"], "access": "read"}]}`,
		"a weak token":   `{"version": 1, "tokens": [{"name": "a", "token": "swordfish", "spaces": ["*"], "access": "read"}]}`,
		"the same names": `{"version": 1, "tokens": [{"name": "a", "sha256": "` + hash + `", "access": "admin"}, {"name": "a", "token": "` + token + `", "access": "admin"}]}`,
	} {
		path := filepath.Join(t.TempDir(), "tokens.json")
		write(t, path, text)
		if _, err := tokens.Load(path); !errors.Is(err, tokens.ErrFile) {
			t.Errorf("%s: %v, want ErrFile", name, err)
		}
		if _, err := tokens.Open(path); !errors.Is(err, tokens.ErrFile) {
			t.Errorf("%s: Open = %v, want ErrFile", name, err)
		}
	}
	path := filepath.Join(t.TempDir(), "tokens.json")
	write(t, path, `{"version": 1, "tokens": [{"name": "a", "token": "`+token+`", "spaces": ["*"], "access": "read"}]}`)
	b, err := tokens.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if e, err := b.Check(token); err != nil || e.Name != "a" {
		t.Errorf("a token that stands in the list itself: %+v, %v", e, err)
	}
}

// TestDialerFollowsItsFile: what is put into the file is shown, and what is no token
// never is.
func TestDialerFollowsItsFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "token")
	d := tokens.NewDialer(wire.Dialer(nil), path)
	if a := d.Prove(nil); a.Scheme != "none" || a.Credential == nil {
		t.Errorf("without a file it shows %+v", a)
	}
	first, second := tokens.New(), tokens.New()
	write(t, path, first+"\n")
	if a := d.Prove(nil); a.Scheme != "token" || string(a.Credential) != first {
		t.Errorf("it shows %+v", a)
	}
	if !d.Refresh() || d.Refresh() {
		t.Error("what was shown is no news any more, or is news twice")
	}
	write(t, path, "root:x:0:0\n")
	if a := d.Prove(nil); string(a.Credential) != first || d.Refresh() {
		t.Errorf("of a file without a token it shows %+v", a)
	}
	write(t, path, second)
	if a := d.Prove(nil); string(a.Credential) != second || !d.Refresh() {
		t.Errorf("it shows %+v, want the second", a)
	}
	if a := tokens.NewDialer(nil, "").Prove(nil); a.Scheme != "none" {
		t.Errorf("a dialer without a file shows %+v", a)
	}
	if _, err := tokens.ReadToken(t.TempDir()); !errors.Is(err, tokens.ErrFile) {
		t.Errorf("ReadToken of a folder = %v", err)
	}
}
