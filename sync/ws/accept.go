package ws

import (
	"net/http"
	"strings"

	"github.com/coder/websocket"

	"github.com/joinery-crdt/joinery/sync/wire"
)

// AcceptOptions adjust [Accept]. The zero value is usable.
type AcceptOptions struct {
	// OriginPatterns are the hosts whose web pages may connect, besides the
	// one that the request names: patterns of [path.Match], optionally with a
	// scheme and "://" before. Programs that are no browsers are not affected.
	OriginPatterns []string
}

// Accept answers a WebSocket handshake. It has answered the request when it
// returns an error, which is a [*HandshakeError] of the kind [ErrRequest] or
// [ErrSubprotocol]. The connection outlives the request: a handler that serves it in
// another goroutine and returns saves what the HTTP server holds of a request that
// is being answered, about 20 KB.
func Accept(w http.ResponseWriter, r *http.Request, opts AcceptOptions) (wire.Conn, error) {
	if isUpgrade(r) && !offers(r) {
		problem := "the client does not offer the subprotocol " + Subprotocol + ": upgrade it, or check what it connects to"
		http.Error(w, problem, http.StatusBadRequest)
		return nil, &HandshakeError{r.RemoteAddr, ErrSubprotocol, http.StatusBadRequest, problem, nil}
	}
	answer := &statusRecorder{ResponseWriter: w}
	writer, take := http.ResponseWriter(answer), (*takeover)(nil)
	if h, ok := hijackerOf(w); ok {
		take = &takeover{ResponseWriter: answer, hijacker: h}
		writer = take
	}
	c, err := websocket.Accept(writer, r, &websocket.AcceptOptions{
		Subprotocols: []string{Subprotocol}, OriginPatterns: opts.OriginPatterns,
		CompressionMode: websocket.CompressionDisabled,
	})
	if err != nil {
		return nil, &HandshakeError{r.RemoteAddr, ErrRequest, answer.status, requestProblem(answer.status), err}
	}
	return newAccepted(c, take.socket), nil
}

func requestProblem(status int) string {
	switch status {
	case http.StatusForbidden:
		return "a web page of another origin: add its host to OriginPatterns if it may connect"
	case http.StatusNotImplemented:
		return "the HTTP server cannot hand over connections: serve this path without HTTP/2 and without wrapping the ResponseWriter"
	}
	return "not a WebSocket handshake: this URL is for sync clients"
}

func isUpgrade(r *http.Request) bool {
	return strings.EqualFold(strings.TrimSpace(r.Header.Get("Upgrade")), "websocket")
}

func offers(r *http.Request) bool {
	for _, list := range r.Header.Values("Sec-Websocket-Protocol") {
		for name := range strings.SplitSeq(list, ",") {
			if strings.TrimSpace(name) == Subprotocol {
				return true
			}
		}
	}
	return false
}

// statusRecorder remembers the status of the answer.
type statusRecorder struct {
	http.ResponseWriter
	status int
}

// WriteHeader records the status.
func (s *statusRecorder) WriteHeader(status int) {
	s.status = status
	s.ResponseWriter.WriteHeader(status)
}

// Unwrap lets the connection be handed over.
func (s *statusRecorder) Unwrap() http.ResponseWriter { return s.ResponseWriter }
