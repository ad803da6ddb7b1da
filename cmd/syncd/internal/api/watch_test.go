package api_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/joinery-crdt/joinery/cmd/syncd/internal/client"
	v1 "github.com/joinery-crdt/joinery/cmd/syncd/internal/v1"
	"github.com/joinery-crdt/joinery/sync/node"
)

func (d *device) watch(t *testing.T, space, prefix string) *client.Watch {
	t.Helper()
	w, err := d.api.Watch(t.Context(), space, prefix)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Close)
	return w
}

func TestWatchTellsWhatEachChangeDid(t *testing.T) {
	d := serve(t, node.Config{})
	w := d.watch(t, "s", "k")
	var want []string
	for _, c := range []struct{ op, event string }{
		{`{"op":"add","type":"gset","key":"k","value":1}`, `"type":"gset" "changed":true "element":1 "present":true`},
		{`{"op":"add","type":"orset","key":"k","value":1}`, `"type":"orset" "changed":true "element":1 "present":true`},
		{`{"op":"add","type":"orset","key":"k","value":1}`, `"type":"orset" "changed":false "element":1 "present":true`},
		{`{"op":"remove","type":"orset","key":"k","value":1}`, `"type":"orset" "changed":true "element":1 "present":false`},
		{`{"op":"add","type":"rwset","key":"k","value":1}`, `"type":"rwset" "changed":true "element":1 "present":true`},
		{`{"op":"remove","type":"rwset","key":"k","value":1}`, `"type":"rwset" "changed":true "element":1 "present":false`},
		{`{"op":"add","type":"twopset","key":"k","value":1}`, `"type":"twopset" "changed":true "element":1 "present":true`},
		{`{"op":"remove","type":"twopset","key":"k","value":1}`, `"type":"twopset" "changed":true "element":1 "present":false`},
		{`{"op":"inc","key":"other"}`, ``},
		{`{"op":"set","key":"k2","value":"a"}`, `"key":"k2" "type":"lww" "changed":true "value":"a"`},
		{`{"op":"set","key":"k2","value":"a"}`, `"key":"k2" "type":"lww" "changed":false "value":"a"`},
		{`{"op":"set","type":"mvregister","key":"k","value":null}`, `"type":"mvregister" "changed":true "values":[null]`},
		{`{"op":"clear","key":"k"}`, `"type":"mvregister" "changed":true "values":[]`},
		{`{"op":"inc","key":"k","by":5}`, `"type":"pncounter" "changed":true "by":5`},
		{`{"op":"inc","key":"k","by":-2}`, `"type":"pncounter" "changed":true "by":-2`},
		{`{"op":"reset","key":"k"}`, `"type":"pncounter" "changed":true "by":-3`},
		{`{"op":"inc","type":"gcounter","key":"k","by":5}`, `"type":"gcounter" "changed":true "by":5`},
		{`{"op":"inc","type":"bounded","key":"k","by":5}`, `"type":"bounded" "changed":true "by":5`},
		{`{"op":"inc","type":"bounded","key":"k","by":-2}`, `"type":"bounded" "changed":true "by":-2`},
		{`{"op":"enable","key":"k"}`, `"type":"ewflag" "changed":true "value":true`},
		{`{"op":"disable","key":"k"}`, `"type":"ewflag" "changed":true "value":false`},
		{`{"op":"disable","type":"dwflag","key":"k"}`, `"type":"dwflag" "changed":false "value":false`},
		{`{"op":"enable","type":"dwflag","key":"k"}`, `"type":"dwflag" "changed":true "value":true`},
		{`{"op":"add","type":"uset","key":"k","value":1}`, `"type":"uset" "changed":true "element":1 "present":true`},
		{`{"op":"remove","type":"uset","key":"k","value":1}`, `"type":"uset" "changed":true "element":1 "present":false`},
		{`{"op":"add","type":"lwwset","key":"k","value":1}`, `"type":"lwwset" "changed":true "element":1 "present":true`},
		{`{"op":"remove","type":"lwwset","key":"k","value":1}`, `"type":"lwwset" "changed":true "element":1 "present":false`},
		{`{"op":"add","type":"lwwset-remove","key":"k","value":1}`, `"type":"lwwset-remove" "changed":true "element":1 "present":true`},
		{`{"op":"add","type":"pnset","key":"k","value":[1]}`, `"type":"pnset" "changed":true "element":[1] "by":1`},
		{`{"op":"reset","type":"pnset","key":"k","value":[1]}`, `"type":"pnset" "changed":true "element":[1] "by":-1`},
		{`{"op":"set","key":"k","field":[1],"value":"a"}`, `"type":"lwwmap" "changed":true "field":[1] "present":true "value":"a"`},
		{`{"op":"set","key":"k","field":[1],"value":"a"}`, `"type":"lwwmap" "changed":false "field":[1] "present":true "value":"a"`},
		{`{"op":"remove","key":"k","field":[1]}`, `"type":"lwwmap" "changed":true "field":[1] "present":false`},
	} {
		if _, err := d.api.DoJSON(t.Context(), "s", strings.NewReader(`{"ops":[`+c.op+`]}`)); err != nil {
			t.Fatalf("%s: %v", c.op, err)
		}
		if c.event != "" {
			want = append(want, c.event)
		}
	}
	for ev, err := range w.Events(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		b, _ := json.Marshal(ev)
		for part := range strings.SplitSeq(want[0]+` "space":"s" "local":true "change":"`+d.node.Origin().String(), " ") {
			if !strings.Contains(string(b), part) {
				t.Errorf("event %s, want %s", b, part)
			}
		}
		if want = want[1:]; len(want) == 0 {
			return
		}
	}
}

func TestWatchTellsOfConflicts(t *testing.T) {
	a, b := serve(t, node.Config{}), serve(t, node.Config{})
	for d, word := range map[*device]string{a: `"of a"`, b: `"of b"`} {
		d.do(t, "s", v1.Op{Op: "set", Key: "title", Value: value(t, word)}, v1.Op{Op: "set", Type: "mvregister", Key: "title", Value: value(t, word)})
	}
	w := b.watch(t, "s", "")
	carry(t, a, b, "s")
	seen := 0
	for ev, err := range w.Events(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		c := ev.Conflict
		if c == nil || c.Kept.Value.Text() == c.Other.Value.Text() || c.Kept.Change == c.Other.Change || ev.Local {
			t.Fatalf("event %+v, want a conflict of two values", ev)
		}
		if ev.Type == "lww" && ev.Value.Text() != c.Kept.Value.Text() {
			t.Errorf("the value is %s, kept was %s", ev.Value.Text(), c.Kept.Value.Text())
		}
		if ev.Type == "mvregister" && len(ev.Values) != 2 {
			t.Errorf("values = %v, want both", ev.Values)
		}
		if seen++; seen == 2 {
			return
		}
	}
}

func TestWatchBeginsWithReady(t *testing.T) {
	d := serve(t, node.Config{})
	d.do(t, "s", v1.Op{Op: "inc", Key: "k"})
	resp, err := http.Get(d.url + "/v1/spaces/s/watch")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	var got []string
	for len(got) < 3 && lines.Scan() {
		got = append(got, lines.Text())
	}
	want := []string{"event: ready", fmt.Sprintf(`data: {"space":"s","vector":{%q:1}}`, d.node.Origin()), ""}
	if fmt.Sprint(got) != fmt.Sprint(want) || resp.Header.Get("Content-Type") != "text/event-stream" {
		t.Errorf("%v %q, want %q", resp.Header, got, want)
	}
}

func TestWatchEndsWithTheDaemon(t *testing.T) {
	d := serve(t, node.Config{})
	w := d.watch(t, "s", "")
	d.stop()
	for _, err := range w.Events(t.Context()) {
		if p, ok := errors.AsType[*v1.Problem](err); !ok || p.Code != v1.ShuttingDown {
			t.Errorf("the watch ended with %v, want shutting_down", err)
		}
	}
}

// TestSlowWatcherIsTold: a client that does not read loses its watch, and learns
// so; nothing waits for it.
func TestSlowWatcherIsTold(t *testing.T) {
	d := serve(t, node.Config{})
	resp, err := http.Get(d.url + "/v1/spaces/s/watch")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	word := strings.Repeat("x", 100)
	for batch := range 14 {
		var ops []v1.Op
		for i := range 1000 {
			ops = append(ops, v1.Op{Op: "add", Type: "gset", Key: "k", Value: value(t, fmt.Sprintf(`"%s %d %d"`, word, batch, i))})
		}
		d.do(t, "s", ops...)
	}
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("after %d bytes: %v", len(b), err)
	}
	_, end, _ := strings.Cut(string(b), "event: end\ndata: ")
	var p v1.Problem
	if err := json.Unmarshal([]byte(end), &p); err != nil || p.Code != v1.Lagged || p.Hint == "" {
		t.Errorf("the watch ended with %q, %v, want lagged", end, err)
	}
}

func TestTooManyWatchesAreRefused(t *testing.T) {
	d := serve(t, node.Config{})
	var open []*client.Watch
	defer func() {
		for _, w := range open {
			w.Close()
		}
	}()
	for range 1000 {
		w, err := d.api.Watch(t.Context(), "s", "")
		if err == nil {
			open = append(open, w)
			continue
		}
		if p, ok := errors.AsType[*v1.Problem](err); !ok || p.Code != v1.TooMany {
			t.Errorf("watch %d: %v, want too_many_watches", len(open)+1, err)
		}
		return
	}
	t.Error("1000 watches run at a time")
}

func TestEndedWatchMakesRoom(t *testing.T) {
	d := serve(t, node.Config{})
	for range 600 {
		resp, err := http.Get(d.url + "/v1/spaces/s/watch")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(resp.Body, make([]byte, 10)); err != nil || resp.StatusCode != http.StatusOK {
			t.Fatalf("%s, %v", resp.Status, err)
		}
		resp.Body.Close()
	}
}
