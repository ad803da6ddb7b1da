package ws_test

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"github.com/joinery-crdt/joinery/sync/wire"
	"github.com/joinery-crdt/joinery/sync/ws"
)

// serve starts a server that answers every request with handle, and returns its
// URL with the scheme ws.
func serve(t testing.TB, handle http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(handle)
	t.Cleanup(s.Close)
	return "ws" + strings.TrimPrefix(s.URL, "http")
}

func dialer(t testing.TB, url string, opts ws.DialOptions) *ws.Dialer {
	t.Helper()
	d, err := ws.NewDialer(url, opts)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// pair returns both ends of a connection over loopback.
func pair(t testing.TB) (client, server wire.Conn) {
	t.Helper()
	accepted := make(chan wire.Conn, 1)
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		c, err := ws.Accept(w, r, ws.AcceptOptions{})
		if err != nil {
			t.Errorf("Accept: %v", err)
		}
		accepted <- c
	})
	client, err := dialer(t, url, ws.DialOptions{}).Dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	server = <-accepted
	t.Cleanup(func() { closeBoth(client, server) })
	return client, server
}

func closeBoth(a, b wire.Conn) {
	done := make(chan error, 1)
	go func() { done <- a.Close("end of test") }()
	_ = b.Close("end of test")
	<-done
}

func TestCarries(t *testing.T) {
	client, server := pair(t)
	largest := bytes.Repeat([]byte("0123456789abcdef"), wire.MaxFrame/16)
	for _, ends := range [][2]wire.Conn{{client, server}, {server, client}} {
		for _, frame := range [][]byte{[]byte("first"), {}, largest, []byte("last")} {
			sent := make(chan error, 1)
			go func() { sent <- ends[0].Send(t.Context(), frame) }()
			got, err := ends[1].Recv(t.Context())
			if err != nil || !bytes.Equal(got, frame) {
				t.Fatalf("Recv = %d bytes, %v; want %d", len(got), err, len(frame))
			}
			if err := <-sent; err != nil {
				t.Fatalf("Send: %v", err)
			}
		}
	}
}

// TestBufferIsTheReceivers changes one message and looks at the others.
func TestBufferIsTheReceivers(t *testing.T) {
	client, server := pair(t)
	var got [3][]byte
	for i := range got {
		if err := client.Send(t.Context(), bytes.Repeat([]byte{byte(i)}, 5)); err != nil {
			t.Fatal(err)
		}
		var err error
		if got[i], err = server.Recv(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	clear(got[1])
	if want := [3][]byte{{0, 0, 0, 0, 0}, {0, 0, 0, 0, 0}, {2, 2, 2, 2, 2}}; !bytes.Equal(got[0], want[0]) || !bytes.Equal(got[2], want[2]) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestClose(t *testing.T) {
	for name, test := range map[string]struct{ reason, told string }{
		"short":     {"going home", "going home"},
		"too long":  {strings.Repeat("é", 100), strings.Repeat("é", 61)},
		"not UTF-8": {"\xff", "\uFFFD"},
	} {
		t.Run(name, func(t *testing.T) {
			client, server := pair(t)
			if err := client.Send(t.Context(), []byte("last words")); err != nil {
				t.Fatal(err)
			}
			closed := make(chan error, 1)
			go func() { closed <- client.Close(test.reason) }()
			if got, err := server.Recv(t.Context()); err != nil || string(got) != "last words" {
				t.Errorf("Recv = %q, %v; want what was sent before the end", got, err)
			}
			for range 2 {
				_, err := server.Recv(t.Context())
				wantClosed(t, err, wire.ClosedError{Reason: test.told, ByPeer: true})
			}
			if err := errors.Join(<-closed, client.Close("again")); err != nil {
				t.Errorf("Close: %v", err)
			}
			_, err := client.Recv(t.Context())
			wantClosed(t, err, wire.ClosedError{Reason: test.reason})
			wantClosed(t, client.Send(t.Context(), nil), wire.ClosedError{Reason: test.reason})
		})
	}
}

func wantClosed(t *testing.T, err error, want wire.ClosedError) {
	t.Helper()
	if e, ok := errors.AsType[*wire.ClosedError](err); !ok || *e != want {
		t.Errorf("got %v, want %v", err, &want)
	}
}

func TestCloseWakesRecv(t *testing.T) {
	client, server := pair(t)
	results := make(chan error, 2)
	for _, c := range []wire.Conn{client, server} {
		go func() {
			_, err := c.Recv(context.WithoutCancel(t.Context()))
			results <- err
		}()
	}
	if err := client.Close("over"); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := <-results; !errors.Is(err, wire.ErrClosed) {
			t.Errorf("Recv: %v, want ErrClosed", err)
		}
	}
}

// TestCloseOfDeadPeer closes connections whose other end neither reads nor
// answers.
func TestCloseOfDeadPeer(t *testing.T) {
	t.Parallel()
	client, _ := pair(t)
	results := make(chan error, 2)
	go func() {
		_, err := client.Recv(t.Context())
		results <- err
	}()
	go func() {
		var err error
		for err == nil {
			err = client.Send(t.Context(), make([]byte, wire.MaxFrame))
		}
		results <- err
	}()
	if err := client.Close("enough"); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		wantClosed(t, <-results, wire.ClosedError{Reason: "enough"})
	}
}

func TestContextEndsRecv(t *testing.T) {
	client, _ := pair(t)
	ctx, cancel := context.WithCancel(t.Context())
	result := make(chan error, 1)
	go func() {
		_, err := client.Recv(ctx)
		result <- err
	}()
	cancel()
	if err := <-result; !errors.Is(err, context.Canceled) {
		t.Errorf("Recv: %v, want context.Canceled", err)
	}
}

func TestConnectionLost(t *testing.T) {
	conns := make(chan *websocket.Conn, 1)
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{ws.Subprotocol}})
		if err != nil {
			t.Errorf("Accept: %v", err)
		}
		conns <- c
	})
	c, err := dialer(t, url, ws.DialOptions{}).Dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	_ = (<-conns).CloseNow()
	if _, err := c.Recv(t.Context()); !errors.Is(err, ws.ErrLost) {
		t.Errorf("Recv after the socket was torn down: %v, want ErrLost", err)
	}
}

// raw returns a connection of ours and the library's other end of it.
func raw(t testing.TB) (wire.Conn, *websocket.Conn) {
	t.Helper()
	accepted := make(chan wire.Conn, 1)
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		c, err := ws.Accept(w, r, ws.AcceptOptions{})
		if err != nil {
			t.Errorf("Accept: %v", err)
		}
		accepted <- c
	})
	peer, _, err := websocket.Dial(t.Context(), url, &websocket.DialOptions{Subprotocols: []string{ws.Subprotocol}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = peer.CloseNow() })
	return <-accepted, peer
}

func TestBadMessages(t *testing.T) {
	for name, test := range map[string]struct {
		kind websocket.MessageType
		size int
		code websocket.StatusCode
		says string
	}{
		"too large": {websocket.MessageBinary, wire.MaxFrame + 1, websocket.StatusMessageTooBig, "limit"},
		"text":      {websocket.MessageText, 10, websocket.StatusUnsupportedData, "does not speak"},
	} {
		t.Run(name, func(t *testing.T) {
			server, peer := raw(t)
			received := make(chan error, 1)
			go func() {
				_, err := server.Recv(t.Context())
				received <- err
			}()
			sent := make(chan struct{})
			go func() {
				defer close(sent)
				_ = peer.Write(t.Context(), test.kind, make([]byte, test.size))
			}()
			if _, _, err := peer.Read(t.Context()); websocket.CloseStatus(err) != test.code {
				t.Errorf("the peer was told %v, want status %v", err, test.code)
			}
			<-sent
			if err := <-received; !errors.Is(err, wire.ErrFrame) || !strings.Contains(err.Error(), test.says) {
				t.Errorf("Recv: %v, want a FrameError that says %q", err, test.says)
			}
		})
	}
}

func TestPeerClosesWithCode(t *testing.T) {
	server, peer := raw(t)
	go func() { _ = peer.Close(websocket.StatusPolicyViolation, "no") }()
	_, err := server.Recv(t.Context())
	wantClosed(t, err, wire.ClosedError{Reason: "StatusPolicyViolation: no", ByPeer: true})
}

func TestSendRefusesLargeFrames(t *testing.T) {
	client, server := pair(t)
	if err := client.Send(t.Context(), make([]byte, wire.MaxFrame+1)); !errors.Is(err, wire.ErrFrame) {
		t.Errorf("Send of a frame over the limit: %v, want ErrFrame", err)
	}
	if err := client.Send(t.Context(), []byte("next")); err != nil {
		t.Fatal(err)
	}
	if got, err := server.Recv(t.Context()); err != nil || string(got) != "next" {
		t.Errorf("the connection did not survive: %q, %v", got, err)
	}
}
