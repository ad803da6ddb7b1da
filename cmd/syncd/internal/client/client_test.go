package client_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/joinery-crdt/joinery/cmd/syncd/internal/client"
	v1 "github.com/joinery-crdt/joinery/cmd/syncd/internal/v1"
)

// answer runs a server that answers every request with the function.
func answer(t *testing.T, h http.HandlerFunc) *client.Client {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	return client.New(strings.TrimPrefix(srv.URL, "http://"), "/a dir/ä")
}

func TestProblemsComeBackAsTheyAre(t *testing.T) {
	c := answer(t, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusConflict)
		fmt.Fprint(w, `{"code":"element_removed","detail":"d","hint":"`+r.Header.Get(v1.DirHeader)+`","import":{"applied":2}}`)
	})
	_, err := c.Spaces(t.Context())
	p, ok := errors.AsType[*v1.Problem](err)
	if !ok || p.Code != v1.ElementRemoved || p.Hint != "%2Fa%20dir%2F%C3%A4" {
		t.Errorf("error = %+v, want the problem of the answer, and the directory in the request", err)
	}
	report, err := c.Import(t.Context(), strings.NewReader(""))
	if err == nil || report.Applied != 2 {
		t.Errorf("Import = %+v, %v, want the report of the problem", report, err)
	}
}

func TestStrangersAreNoDaemon(t *testing.T) {
	for body, status := range map[string]int{"<html>": 404, "{}": 500, `{"code":""}`: 403} {
		c := answer(t, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			fmt.Fprint(w, body)
		})
		if _, err := c.Status(t.Context()); err == nil || !strings.Contains(err.Error(), "no syncd") {
			t.Errorf("answer %d %s: %v", status, body, err)
		}
	}
	c := answer(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>") })
	if _, err := c.Status(t.Context()); !errors.Is(err, client.ErrUnreachable) {
		t.Errorf("an answer that is no JSON: %v", err)
	}
}

func TestUnusableAddresses(t *testing.T) {
	for _, address := range []string{"127.0.0.1:1", "http://x\x00", "ftp://x", "::::", ""} {
		if _, err := client.New(address, "").Status(t.Context()); !errors.Is(err, client.ErrUnreachable) {
			t.Errorf("Status at %q = %v, want ErrUnreachable", address, err)
		}
	}
}

func TestEndedContextIsItsError(t *testing.T) {
	c := answer(t, func(http.ResponseWriter, *http.Request) {})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Status(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Status = %v", err)
	}
}

func TestCutOffExportIsSaid(t *testing.T) {
	c := answer(t, func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, "half")
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	})
	if err := c.Export(t.Context(), "s", io.Discard); err == nil || !strings.Contains(err.Error(), "cut off") {
		t.Errorf("Export = %v", err)
	}
}

func TestWatchOfAStream(t *testing.T) {
	const ready = "event: ready\ndata: {\"space\":\"s\",\"vector\":{\"o\":7}}\n\n"
	const change = ":\n\nevent: change\ndata: {\"key\":\"k\"}\n\nevent: unheard of\ndata: 1\n\n"
	for _, c := range []struct {
		stream string
		opens  bool
		events int
		ends   func(error) bool
	}{
		{ready + change + change + "event: end\ndata: {\"code\":\"lagged\"}\n\n", true, 2, func(err error) bool {
			p, ok := errors.AsType[*v1.Problem](err)
			return ok && p.Code == v1.Lagged
		}},
		{ready + change + "event: change\nda", true, 1, func(err error) bool { return errors.Is(err, client.ErrUnreachable) }},
		{ready + "event: change\ndata: {\n\n", true, 0, func(err error) bool { return errors.Is(err, client.ErrUnreachable) }},
		{"event: ready\ndata: {\n\n", false, 0, nil},
		{"", false, 0, nil},
	} {
		cl := answer(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, c.stream) })
		w, err := cl.Watch(t.Context(), "s", "")
		if (err == nil) != c.opens {
			t.Errorf("Watch of %q: %v", c.stream, err)
		}
		if !c.opens || err != nil {
			continue
		}
		events := 0
		for _, err := range w.Events(t.Context()) {
			if err == nil {
				events++
			} else if !c.ends(err) {
				t.Errorf("%q ends with %v", c.stream, err)
			}
		}
		if w.Close(); events != c.events || w.Ready.Vector["o"] != 7 {
			t.Errorf("%q: %d events after %+v, want %d", c.stream, events, w.Ready, c.events)
		}
	}
}
