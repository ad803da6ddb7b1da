package api_test

import (
	"fmt"
	"math"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	v1 "github.com/joinery-crdt/joinery/cmd/syncd/internal/v1"
	"github.com/joinery-crdt/joinery/merge"
	crdtsync "github.com/joinery-crdt/joinery/sync"
	"github.com/joinery-crdt/joinery/sync/node"
)

// held returns a device that holds the change of another one in quarantine,
// which is an hour ahead, and its clock.
func held(t *testing.T) (d *device, change string, clock *atomic.Int64) {
	t.Helper()
	clock = new(atomic.Int64)
	clock.Store(time.Now().Unix())
	ahead := serve(t, node.Config{Now: func() time.Time { return time.Unix(clock.Load(), 0).Add(time.Hour) }})
	d = serve(t, node.Config{Now: func() time.Time { return time.Unix(clock.Load(), 0) }})
	change = ahead.do(t, "s", v1.Op{Op: "inc", Key: "k"}).Change
	if p := d.request(t, "POST", "/v1/import", string(dropFile(t, ahead.node, node.Cut{})), nil); p.Code != v1.ChangesRefused {
		t.Fatalf("import: %+v", p)
	}
	return d, change, clock
}

func TestQuarantine(t *testing.T) {
	d, change, clock := held(t)
	list, err := d.api.Quarantine(t.Context())
	if err != nil || len(list.Quarantine) != 1 {
		t.Fatalf("quarantine = %+v, %v, want one", list, err)
	}
	if q := list.Quarantine[0]; q.Space != "s" || q.Dot != change || q.Code != "future" || q.Reason == "" || q.Action == "" {
		t.Errorf("quarantined: %+v", q)
	}
	body := fmt.Sprintf(`{"space":"s","change":%q}`, change)
	d.expect(t, "POST", "/v1/quarantine/retry", body, v1.ChangesRefused, "set the clock", nil)
	clock.Add(7200)
	if got, err := d.api.RetryQuarantined(t.Context(), "s", change); err != nil || got.Change != change {
		t.Errorf("retry = %+v, %v", got, err)
	}
	if o, err := d.api.Object(t.Context(), "s", "pncounter", "k"); err != nil || o.Value.Text() != "1" {
		t.Errorf("the counter is %s, %v, want 1", o.Value.Text(), err)
	}
	if got := d.get(t, "/v1/quarantine"); got != `{"quarantine":[]}`+"\n" {
		t.Errorf("quarantine = %s, want none", got)
	}
	d.expect(t, "POST", "/v1/quarantine/retry", body, v1.NotQuarantined, "syncd quarantine list", nil)
}

func TestDropQuarantined(t *testing.T) {
	d, change, _ := held(t)
	if got, err := d.api.DropQuarantined(t.Context(), "s", change); err != nil || got.Space != "s" {
		t.Errorf("drop = %+v, %v", got, err)
	}
	if list, err := d.api.Quarantine(t.Context()); err != nil || len(list.Quarantine) != 0 {
		t.Errorf("quarantine = %+v, %v, want none", list, err)
	}
	d.expect(t, "POST", "/v1/quarantine/drop", fmt.Sprintf(`{"space":"s","change":%q}`, change), v1.NotQuarantined, "syncd quarantine list", nil)
}

func TestBadChanges(t *testing.T) {
	d, change, _ := held(t)
	o, _, _ := strings.Cut(change, "/")
	for _, bad := range []string{
		"", "/", "1", o, o + "/", o + "/0", o + "/01", o + "/-1", o + "/1/1", o + "/1 ", o[1:] + "/1", strings.ToUpper(o) + "x/1",
		o + "/1152921504606846977", o + "/18446744073709551616", strings.Repeat("x", 5000),
	} {
		for _, path := range []string{"/v1/quarantine/retry", "/v1/quarantine/drop"} {
			d.expect(t, "POST", path, fmt.Sprintf(`{"space":"s","change":%q}`, bad), v1.BadChange, "origin/number", nil)
		}
		d.expect(t, "GET", "/v1/spaces/s/explain?change="+strings.ReplaceAll(bad, " ", "+"), "", v1.BadChange, "origin/number", nil)
	}
	for _, path := range []string{"/v1/quarantine/retry", "/v1/quarantine/drop"} {
		d.expect(t, "POST", path, fmt.Sprintf(`{"space":"other","change":%q}`, change), v1.NotQuarantined, "quarantine list", nil)
		d.expect(t, "POST", path, fmt.Sprintf(`{"space":"","change":%q}`, change), v1.BadName, "is empty", nil)
		d.expect(t, "POST", path, `{"dot":"x"}`, v1.BadRequest, "unknown field", nil)
		d.expect(t, "POST", path, `{`, v1.BadJSON, "", nil)
		d.expect(t, "GET", path, "", v1.MethodNotAllowed, "use POST", nil)
	}
	d.expect(t, "GET", "/v1/spaces/%FF/explain?change="+change, "", v1.BadName, "UTF-8", nil)
	d.expect(t, "GET", "/v1/spaces/"+strings.Repeat("x", 256)+"/explain?change="+change, "", v1.BadName, "255", nil)
	if got := len(d.node.Quarantine()); got != 1 {
		t.Errorf("after bad requests %d changes are in quarantine, want 1", got)
	}
}

// TestForkedInQuarantine tries a change again that can never be applied.
func TestForkedInQuarantine(t *testing.T) {
	a, b, d := forked(t), forked(t), serve(t, node.Config{})
	a.do(t, "s", v1.Op{Op: "inc", Key: "k"})
	b.do(t, "s", v1.Op{Op: "inc", Key: "other"})
	b.do(t, "s", v1.Op{Op: "inc", Key: "other"})
	carry(t, a, d, "s")
	d.request(t, "POST", "/v1/import", string(dropFile(t, b.node, node.Cut{Since: merge.VectorOf(merge.Dot{Origin: origin, Seq: 1})})), nil)
	d.expect(t, "POST", "/v1/quarantine/retry", fmt.Sprintf(`{"space":"s","change":"%s/2"}`, origin), v1.ChangesRefused, "restored or copied", nil)
}

// TestEarlyInQuarantine tries a change again before the one it depends on, both
// of a writer that may only read.
func TestEarlyInQuarantine(t *testing.T) {
	readOnly := func(string) crdtsync.Access { return crdtsync.AccessRead }
	d := serve(t, node.Config{Verify: func(*crdtsync.Hello, crdtsync.Auth) (crdtsync.Grant, error) {
		return crdtsync.Grant{Access: readOnly, Until: math.MaxInt64}, nil
	}})
	writer := serve(t, node.Config{Prove: func(*crdtsync.Hello) *crdtsync.Auth { return &crdtsync.Auth{Scheme: "token", Credential: []byte("x")} }})
	first := writer.do(t, "s", v1.Op{Op: "inc", Key: "k"}).Change
	second := writer.do(t, "s", v1.Op{Op: "inc", Key: "k"}).Change
	if _, err := writer.api.AddPeer(t.Context(), v1.NewPeer{URL: d.url}); err != nil {
		t.Fatal(err)
	}
	poll := time.NewTicker(10 * time.Millisecond)
	defer poll.Stop()
	for len(d.node.Quarantine()) < 2 {
		select {
		case <-poll.C:
		case <-t.Context().Done():
			t.Fatal("the changes are not in quarantine")
		}
	}
	d.expect(t, "POST", "/v1/quarantine/retry", fmt.Sprintf(`{"space":"s","change":%q}`, second), v1.ChangeWaits, "that has "+first, nil)
	if _, err := d.api.RetryQuarantined(t.Context(), "s", first); err != nil {
		t.Errorf("retry of the first: %v", err)
	}
	if got := d.node.Quarantine(); len(got) != 0 {
		t.Errorf("quarantine = %+v, want none: the second waited for the first", got)
	}
}

func TestExplain(t *testing.T) {
	d, change, _ := held(t)
	mine := d.do(t, "s", v1.Op{Op: "inc", Key: "mine"}).Change
	o, _, _ := strings.Cut(mine, "/")
	for _, c := range []struct{ space, change, state, why string }{
		{"s", mine, "applied", ""},
		{"s", change, "refused", "it is in quarantine"},
		{"s", o + "/9", "unknown", "nor have changes before it"},
		{"none", mine, "unknown", "nothing of the space"},
	} {
		got, err := d.api.Explain(t.Context(), c.space, c.change)
		if err != nil || got.Space != c.space || got.Change != c.change || len(got.Whereabouts) != 1 {
			t.Errorf("explain %s %s = %+v, %v", c.space, c.change, got, err)
			continue
		}
		if w := got.Whereabouts[0]; w.Peer != "" || w.State != c.state || !strings.Contains(w.Reason, c.why) {
			t.Errorf("explain %s %s = %+v, want %s: %s", c.space, c.change, w, c.state, c.why)
		}
	}
}
