package client

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/url"
	"strings"

	v1 "github.com/joinery-crdt/joinery/cmd/syncd/internal/v1"
)

// A Watch is what a space tells of its changes.
type Watch struct {
	Ready v1.Ready // when it began
	body  io.ReadCloser
	lines *bufio.Reader
	url   string
}

// Watch begins to watch the objects whose key starts with prefix. What changes
// after it returns is reported. End it with ctx or Close.
func (c *Client) Watch(ctx context.Context, space, prefix string) (*Watch, error) {
	path := spacePath(space, "watch") + "?" + url.Values{"prefix": {prefix}}.Encode()
	resp, err := c.do(ctx, http.MethodGet, path, nil)
	if err != nil {
		return nil, err
	}
	w := &Watch{body: resp.Body, lines: bufio.NewReader(resp.Body), url: c.base}
	name, data, err := w.next()
	if err == nil && name == v1.EventReady {
		err = json.Unmarshal(data, &w.Ready)
	}
	if err != nil {
		_ = resp.Body.Close()
		return nil, c.unreachable(ctx, err)
	}
	return w, nil
}

// Close ends the watch.
func (w *Watch) Close() { _ = w.body.Close() }

// Events yields what changes, and at most one error, last: why the watch ended.
// Call it once.
func (w *Watch) Events(ctx context.Context) iter.Seq2[v1.Event, error] {
	return func(yield func(v1.Event, error) bool) {
		for {
			ev, err := w.event()
			if err != nil {
				yield(ev, w.cause(ctx, err))
				return
			}
			if !yield(ev, nil) {
				return
			}
		}
	}
}

func (w *Watch) cause(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if p, ok := errors.AsType[*v1.Problem](err); ok {
		return p
	}
	return &UnreachableError{w.url, err}
}

// event returns the next change, or the problem for which the watch ended.
func (w *Watch) event() (ev v1.Event, err error) {
	for {
		name, data, err := w.next()
		if err != nil {
			return ev, err
		}
		switch name {
		case v1.EventChange:
			err = json.Unmarshal(data, &ev)
			return ev, err
		case v1.EventEnd:
			var p v1.Problem
			if err := json.Unmarshal(data, &p); err != nil {
				return ev, err
			}
			return ev, &p
		}
	}
}

// next returns the next server-sent event.
func (w *Watch) next() (name string, data []byte, err error) {
	for {
		line, err := w.lines.ReadString('\n')
		if err != nil {
			return "", nil, fmt.Errorf("the watch was cut off: %w", err)
		}
		line = strings.TrimSuffix(line, "\n")
		if v, ok := strings.CutPrefix(line, "event: "); ok {
			name = v
		}
		if v, ok := strings.CutPrefix(line, "data: "); ok {
			data = []byte(v)
		}
		if line == "" && name != "" {
			return name, data, nil
		}
	}
}
