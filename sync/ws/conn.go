package ws

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/coder/websocket"

	"github.com/joinery-crdt/joinery/sync/wire"
)

const (
	// closeGrace is how long Close lets a peer take to answer while a Recv or
	// a Send waits.
	closeGrace = 2 * time.Second
	// maxReason is what a close frame holds (RFC 6455, section 5.5).
	maxReason = 123
)

// conn is a [wire.Conn] over a WebSocket.
type conn struct {
	ws *websocket.Conn
	// Every read and write runs under it.
	under  context.Context
	kill   func() // closes the socket, whatever the peer does; may be called again
	watch  watch
	closed atomic.Pointer[wire.ClosedError] // the first Close, whichever side's
}

// newConn makes a connection of which only the library has the socket: it closes
// it when the context of a read or a write ends.
func newConn(ws *websocket.Conn) *conn {
	alive, kill := context.WithCancel(context.Background())
	return limit(&conn{ws: ws, under: alive, kill: kill})
}

// newAccepted makes a connection over a socket that is known.
func newAccepted(ws *websocket.Conn, socket io.Closer) *conn {
	return limit(&conn{ws: ws, under: context.Background(), kill: func() { _ = socket.Close() }})
}

func limit(c *conn) *conn {
	c.ws.SetReadLimit(wire.MaxFrame)
	c.watch.kill = c.kill
	return c
}

// Send sends the frame as one binary message.
func (c *conn) Send(ctx context.Context, frame []byte) error {
	if len(frame) > wire.MaxFrame {
		return &wire.FrameError{Problem: fmt.Sprintf("%d bytes, the limit is %d", len(frame), wire.MaxFrame)}
	}
	call := c.watch.enter(ctx)
	defer c.watch.leave(call)
	return c.explain(ctx, c.ws.Write(c.under, websocket.MessageBinary, frame))
}

// Recv returns the next binary message.
func (c *conn) Recv(ctx context.Context) ([]byte, error) {
	call := c.watch.enter(ctx)
	defer c.watch.leave(call)
	kind, r, err := c.ws.Reader(c.under)
	if err != nil {
		return nil, c.explain(ctx, err)
	}
	if kind != websocket.MessageBinary {
		c.end(websocket.StatusUnsupportedData, "text message")
		return nil, &wire.FrameError{Problem: "a text message: the peer does not speak " + Subprotocol}
	}
	buf := buffers.Get().(*bytes.Buffer)
	defer buffers.Put(buf)
	buf.Reset()
	if _, err := buf.ReadFrom(r); err != nil {
		return nil, c.explain(ctx, err)
	}
	return bytes.Clone(buf.Bytes()), nil
}

// buffers are what messages of unknown length are read into.
var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// Close sends a close frame and waits for the answer: at most 2 seconds while a
// Recv or a Send is in progress, which then return, and else at most 10.
func (c *conn) Close(reason string) error {
	c.closed.CompareAndSwap(nil, &wire.ClosedError{Reason: reason})
	c.end(websocket.StatusNormalClosure, reason)
	return nil
}

// end closes the socket, whatever the peer does.
func (c *conn) end(code websocket.StatusCode, reason string) {
	timer := time.AfterFunc(closeGrace, c.kill)
	defer timer.Stop()
	defer c.kill()
	defer c.watch.end()
	_ = c.ws.Close(code, cut(reason))
}

// explain turns an error of the library into one of [wire.Conn].
func (c *conn) explain(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if theirs, ok := errors.AsType[websocket.CloseError](err); ok {
		c.closed.CompareAndSwap(nil, &wire.ClosedError{Reason: closeReason(theirs), ByPeer: true})
	}
	if closed := c.closed.Load(); closed != nil {
		return closed
	}
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, websocket.ErrMessageTooBig):
		return &wire.FrameError{Problem: fmt.Sprintf("more than the %d bytes of the limit: the peer is no sync node, or a broken one", wire.MaxFrame)}
	}
	return fmt.Errorf("%w: %w", ErrLost, err)
}

func closeReason(e websocket.CloseError) string {
	if e.Code == websocket.StatusNormalClosure {
		return e.Reason
	}
	return fmt.Sprintf("%v: %s", e.Code, e.Reason)
}

// cut makes a reason fit into a close frame.
func cut(s string) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	if len(s) <= maxReason {
		return s
	}
	end := maxReason
	for !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end]
}
