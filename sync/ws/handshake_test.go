package ws_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/joinery-crdt/joinery/sync/ws"
)

func wantHandshakeError(t *testing.T, name string, err error, kind error, says string, retriable bool) {
	t.Helper()
	e, ok := errors.AsType[*ws.HandshakeError](err)
	if !ok || !errors.Is(err, kind) || !strings.Contains(err.Error(), says) {
		t.Errorf("%s: %v; want a HandshakeError of the kind %q that says %q", name, err, kind, says)
		return
	}
	if e.Retriable() != retriable {
		t.Errorf("%s: %v: Retriable = %v", name, err, e.Retriable())
	}
	if strings.Contains(err.Error(), "secret") {
		t.Errorf("%s: %v contains a secret", name, err)
	}
}

func TestURLs(t *testing.T) {
	for url, says := range map[string]string{
		"http://host/v1/sync":             "use ws://",
		"https://host/v1/sync?key=secret": "use wss://",
		"host:8080/v1/sync":               "begin it with wss://",
		"/v1/sync":                        "begin it with wss://",
		"":                                "begin it with wss://",
		"ftp://host":                      "begin it with wss://",
		"wss:///v1/sync":                  "name a host",
		"wss://me:secret@host/":           "in a header",
		"wss://host/#secret":              "from # on",
		"wss://ho st/":                    "not a URL",
		"wss://host:port/":                "not a URL",
	} {
		_, err := ws.NewDialer(url, ws.DialOptions{})
		wantHandshakeError(t, url, err, ws.ErrURL, says, false)
	}
	d := dialer(t, "wss://host:99/path?token=secret", ws.DialOptions{})
	if got, want := d.String(), "wss://host:99/path"; got != want {
		t.Errorf("String = %q, want %q", got, want)
	}
}

func TestDialRefused(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	_ = l.Close()
	_, err = dialer(t, "ws://"+address, ws.DialOptions{}).Dial(t.Context())
	wantHandshakeError(t, "closed port", err, ws.ErrUnreachable, "nothing listens", true)
}

// TestDialAnswers dials servers that are no sync endpoints.
func TestDialAnswers(t *testing.T) {
	t.Parallel()
	upgrade := func(subprotocols ...string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if c, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: subprotocols}); err == nil {
				_ = c.CloseNow()
			}
		}
	}
	status := func(code int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
	}
	for name, test := range map[string]struct {
		handle    http.HandlerFunc
		kind      error
		says      string
		retriable bool
	}{
		"web page":          {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>")) }, ws.ErrEndpoint, "200 OK", false},
		"text":              {func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "gone\nfishing", http.StatusGone) }, ws.ErrEndpoint, `410 "gone":`, false},
		"not found":         {status(404), ws.ErrEndpoint, "check the path", false},
		"unauthorised":      {status(401), ws.ErrDenied, "credentials", false},
		"forbidden":         {status(403), ws.ErrDenied, "credentials", false},
		"overloaded":        {status(429), ws.ErrEndpoint, "try later", true},
		"proxy":             {status(502), ws.ErrEndpoint, "try later", true},
		"no subprotocol":    {upgrade(), ws.ErrSubprotocol, "no subprotocol", false},
		"other subprotocol": {answer101("joinery.sync.v9"), ws.ErrSubprotocol, `"joinery.sync.v9"`, false},
		"broken handshake":  {answer101(""), ws.ErrEndpoint, "proxy", false},
	} {
		_, err := dialer(t, serve(t, test.handle)+"/?token=secret", ws.DialOptions{}).Dial(t.Context())
		wantHandshakeError(t, name, err, test.kind, test.says, test.retriable)
	}
}

// answer101 switches protocols with a subprotocol that nobody offered, or,
// without one, with a wrong key.
func answer101(subprotocol string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if subprotocol != "" {
			r.Header.Set("Sec-Websocket-Protocol", subprotocol)
			c, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{subprotocol}})
			if err == nil {
				_ = c.CloseNow()
			}
			return
		}
		w.Header().Set("Connection", "Upgrade")
		w.Header().Set("Upgrade", "websocket")
		w.WriteHeader(http.StatusSwitchingProtocols)
	}
}

func TestDialTLS(t *testing.T) {
	secure := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c, err := ws.Accept(w, r, ws.AcceptOptions{}); err == nil {
			_ = c.Close("bye")
		}
	}))
	secure.EnableHTTP2 = true
	secure.Config.ErrorLog = quiet()
	secure.StartTLS()
	defer secure.Close()
	host := strings.TrimPrefix(secure.URL, "https://")

	c, err := dialer(t, "wss://"+host, ws.DialOptions{HTTPClient: secure.Client()}).Dial(t.Context())
	if err != nil {
		t.Fatalf("Dial over TLS: %v", err)
	}
	if _, err := c.Recv(t.Context()); err == nil || !strings.Contains(err.Error(), "bye") {
		t.Errorf("Recv over TLS: %v, want the peer's goodbye", err)
	}
	_, err = dialer(t, "wss://"+host, ws.DialOptions{}).Dial(t.Context())
	wantHandshakeError(t, "unknown authority", err, ws.ErrUnreachable, "not trusted", false)
	_, err = dialer(t, "ws://"+host, ws.DialOptions{}).Dial(t.Context())
	wantHandshakeError(t, "ws to a TLS port", err, ws.ErrEndpoint, "400", false)

	plain := serve(t, func(http.ResponseWriter, *http.Request) {})
	_, err = dialer(t, "wss"+strings.TrimPrefix(plain, "ws"), ws.DialOptions{}).Dial(t.Context())
	wantHandshakeError(t, "wss to a plain port", err, ws.ErrUnreachable, "does not speak TLS", true)
}

// TestDialTimeout dials a server that takes connections and says nothing.
func TestDialTimeout(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	url := "ws://" + l.Addr().String()
	_, err = dialer(t, url, ws.DialOptions{HandshakeTimeout: time.Millisecond}).Dial(t.Context())
	wantHandshakeError(t, "silent host", err, ws.ErrUnreachable, "no answer within 1ms", true)

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := dialer(t, url, ws.DialOptions{}).Dial(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Dial with an ended context: %v, want context.Canceled", err)
	}
}

// TestHandshakeContextEnds checks that ending the context of Dial does not end
// the connection.
func TestHandshakeContextEnds(t *testing.T) {
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		c, err := ws.Accept(w, r, ws.AcceptOptions{})
		if err != nil {
			t.Errorf("Accept: %v", err)
			return
		}
		for range 3 {
			if b, err := c.Recv(context.WithoutCancel(r.Context())); err == nil {
				_ = c.Send(context.WithoutCancel(r.Context()), b)
			}
		}
	})
	ctx, cancel := context.WithCancel(t.Context())
	c, err := dialer(t, url, ws.DialOptions{}).Dial(ctx)
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	for range 3 {
		if err := c.Send(t.Context(), []byte("still there?")); err != nil {
			t.Fatal(err)
		}
		if got, err := c.Recv(t.Context()); err != nil || string(got) != "still there?" {
			t.Fatalf("Recv = %q, %v", got, err)
		}
	}
}

func TestDialSendsHeader(t *testing.T) {
	got := make(chan string, 1)
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		got <- r.Header.Get("Authorization")
		w.WriteHeader(http.StatusUnauthorized)
	})
	_, _ = dialer(t, url, ws.DialOptions{Header: http.Header{"Authorization": {"Bearer x"}}}).Dial(t.Context())
	if header := <-got; header != "Bearer x" {
		t.Errorf("Authorization = %q, want what the options say", header)
	}
}

func TestAcceptRefuses(t *testing.T) {
	upgrade := http.Header{
		"Connection": {"Upgrade"}, "Upgrade": {"WebSocket"}, "Sec-Websocket-Version": {"13"},
		"Sec-Websocket-Key": {"MDEyMzQ1Njc4OWFiY2RlZg=="}, "Sec-Websocket-Protocol": {"chat, " + ws.Subprotocol},
	}
	with := func(key, value string) http.Header {
		h := upgrade.Clone()
		h.Set(key, value)
		return h
	}
	for name, test := range map[string]struct {
		header http.Header
		kind   error
		status int
		says   string
	}{
		"a browser":         {http.Header{}, ws.ErrRequest, 426, "for sync clients"},
		"no subprotocol":    {with("Sec-WebSocket-Protocol", ""), ws.ErrSubprotocol, 400, "upgrade it"},
		"other subprotocol": {with("Sec-WebSocket-Protocol", "chat"), ws.ErrSubprotocol, 400, "upgrade it"},
		"foreign origin":    {with("Origin", "https://elsewhere.example"), ws.ErrRequest, 403, "OriginPatterns"},
		"other version":     {with("Sec-WebSocket-Version", "12"), ws.ErrRequest, 400, "not a WebSocket handshake"},
		"cannot hijack":     {upgrade, ws.ErrRequest, 501, "without HTTP/2"},
	} {
		w, r := httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "http://host/", nil)
		r.Header = test.header
		_, err := ws.Accept(w, r, ws.AcceptOptions{})
		wantHandshakeError(t, name, err, test.kind, test.says, false)
		if e, ok := errors.AsType[*ws.HandshakeError](err); w.Code != test.status || ok && e.Status != test.status {
			t.Errorf("%s: answered %d, the error says %v; want %d", name, w.Code, err, test.status)
		}
	}
}

func TestAcceptOriginPatterns(t *testing.T) {
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if c, err := ws.Accept(w, r, ws.AcceptOptions{OriginPatterns: []string{"app.example"}}); err == nil {
			_ = c.Close("welcome")
		}
	})
	for origin, want := range map[string]string{
		"https://app.example":       "welcome",
		"https://elsewhere.example": "credentials",
	} {
		c, err := dialer(t, url, ws.DialOptions{Header: http.Header{"Origin": {origin}}}).Dial(t.Context())
		if err == nil {
			_, err = c.Recv(t.Context())
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("from %s: %v, want %q", origin, err, want)
		}
	}
}
