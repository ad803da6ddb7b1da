package api

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"net/http"
	"time"

	"github.com/joinery-crdt/joinery/cmd/syncd/internal/objects"
	v1 "github.com/joinery-crdt/joinery/cmd/syncd/internal/v1"
	"github.com/joinery-crdt/joinery/sync/node"
)

// keepAlive is how often a watch on which nothing happens says that it lives.
const keepAlive = 15 * time.Second

// watch streams what changes, as server-sent events.
func (s *server) watch(w http.ResponseWriter, r *http.Request) error {
	select {
	case s.watches <- struct{}{}:
		defer func() { <-s.watches }()
	default:
		return v1.NewProblem(v1.TooMany, fmt.Sprintf("%d watches run already", maxWatches), "end one, or watch a space once for all readers")
	}
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer context.AfterFunc(s.Stop, cancel)()
	space := s.Node.Space(r.PathValue("space"))
	if err := space.View(ctx, func(*node.View) error { return nil }); err != nil {
		return err
	}
	events := make(chan node.Event)
	ended := make(chan error, 1)
	all := space.Watch(ctx, node.Prefix(r.URL.Query().Get("prefix")))
	go func() { ended <- pass(ctx, all, events) }()
	st := newStream(w)
	st.send(v1.EventReady, v1.Ready{Space: space.Name(), Vector: vectorOf(space)})
	s.follow(st, r, space.Name(), events, ended)
	return nil
}

// pass hands events on until they end, and returns why.
func pass(ctx context.Context, all iter.Seq2[node.Event, error], events chan<- node.Event) error {
	for ev, err := range all {
		if err != nil {
			return err
		}
		select {
		case events <- ev:
		case <-ctx.Done():
		}
	}
	return ctx.Err()
}

// follow sends events until the watch ends, the client is gone, or its token is
// not good any more.
func (s *server) follow(st *stream, r *http.Request, space string, events <-chan node.Event, ended <-chan error) {
	alive := time.NewTicker(keepAlive)
	defer alive.Stop()
	for st.err == nil {
		select {
		case ev := <-events:
			out, err := objects.Event(space, ev)
			if err == nil {
				err = s.mayUse(r, space)
			}
			if err != nil {
				st.send(v1.EventEnd, problemOf(err))
				return
			}
			st.send(v1.EventChange, out)
		case err := <-ended:
			if s.Stop.Err() != nil {
				err = node.ErrClosed
			}
			st.send(v1.EventEnd, problemOf(err))
			return
		case <-alive.C:
			st.comment()
		}
	}
}

func vectorOf(space *node.Space) map[string]uint64 {
	vector := make(map[string]uint64)
	for d := range space.Vector().Heads() {
		vector[d.Origin.String()] = d.Seq
	}
	return vector
}

// stream writes server-sent events until its first error.
type stream struct {
	w   io.Writer
	rc  *http.ResponseController
	err error
}

func newStream(w http.ResponseWriter) *stream {
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "private, no-store")
	rc := http.NewResponseController(w)
	_ = rc.SetReadDeadline(time.Time{})
	return &stream{w: patientWriter{w, rc}, rc: rc}
}

func (st *stream) send(event string, data any) {
	b, err := json.Marshal(data)
	if err != nil {
		st.err = err
		return
	}
	st.write(fmt.Appendf(nil, "event: %s\ndata: %s\n\n", event, b))
}

// comment sends what clients ignore.
func (st *stream) comment() { st.write([]byte(":\n\n")) }

func (st *stream) write(b []byte) {
	if _, st.err = st.w.Write(b); st.err == nil {
		st.err = st.rc.Flush()
	}
}
