// Package api is syncd's HTTP/JSON API over a node.
//
// # Guarantees
//
//   - An answer to a write is sent when the change is durable.
//   - Errors are problem+json with a stable code; one that a client caused has
//     changed nothing, except that an import keeps what came before it.
//   - Requests that a web page of another site makes a browser send are refused.
//
// # Limits
//
// Without a list of tokens there is no authentication: whoever can connect can read
// and write. See [v1.MaxBody], [v1.MaxImport] and [v1.MaxPage] for sizes.
package api

import (
	"context"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/joinery-crdt/joinery/cmd/syncd/internal/tokens"
	v1 "github.com/joinery-crdt/joinery/cmd/syncd/internal/v1"
	"github.com/joinery-crdt/joinery/sync/node"
	"github.com/joinery-crdt/joinery/sync/wire"
)

// Peers is the list of peers that the API shows and changes.
type Peers interface {
	// List returns the peers, ascending by URL.
	List() []v1.Peer
	// Add connects to a peer from now on, and after restarts, and returns it. A
	// URL that cannot be one, or a file without a token, is an error.
	Add(peer v1.NewPeer) (v1.Peer, error)
	// Remove ends that and reports whether there was such a peer.
	Remove(url string) (bool, error)
	// Problems says what is wrong with the tokens for peers.
	Problems() []node.Problem
}

// A Config says what the API serves. All fields but Tokens, Hosts and Logger are
// required.
type Config struct {
	Node  *node.Node
	Peers Peers
	// Accept makes the request of a peer a connection, or answers it.
	Accept func(http.ResponseWriter, *http.Request) (wire.Conn, error)
	// About is the part of the status that the node does not know.
	About v1.Status
	// Tokens is those of which every request has to show one, nil for none.
	Tokens *tokens.Book
	// Stop ends watches and links when the daemon shuts down.
	Stop context.Context
	// Hosts are names, besides IP addresses and localhost, under which requests
	// may address the daemon.
	Hosts []string
	// Logger receives what goes wrong, nil for nowhere.
	Logger *slog.Logger
}

// server has the handlers. It is safe for concurrent use.
type server struct {
	Config
	watches chan struct{} // holds one token for each running watch
}

// maxWatches is how many watches run at a time.
const maxWatches = 256

// Handler returns the API.
func Handler(cfg Config) http.Handler {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	s := &server{Config: cfg, watches: make(chan struct{}, maxWatches)}
	return s.guard(s.routes())
}

// A handler answers a request or returns the error to answer with.
type handler func(w http.ResponseWriter, r *http.Request) error

func (s *server) routes() http.Handler {
	inSpace := s.mux(map[string]handler{
		"GET /objects":                  s.objects,
		"GET /objects/{type}/{key...}":  s.object,
		"POST /objects/{type}/{key...}": s.operate,
		"POST /tx":                      s.transact,
		"GET /watch":                    s.watch,
		"GET /export":                   s.export,
		"GET /explain":                  s.explain,
	})
	mux := s.mux(map[string]handler{
		"GET /livez":       s.live,
		"GET /readyz":      s.ready,
		"GET /v1/status":   s.forAdmins(s.status),
		"GET /v1/spaces":   s.forBearers(s.spaces),
		"GET /v1/sync":     s.sync, // which asks for a token itself
		"POST /v1/import":  s.forBearers(s.importFile),
		"GET /v1/peers":    s.forAdmins(s.peers),
		"POST /v1/peers":   s.forAdmins(s.addPeer),
		"DELETE /v1/peers": s.forAdmins(s.removePeer),
		"GET /v1/devices":  s.forAdmins(s.devices),

		"POST /v1/devices/retire": s.forAdmins(s.turnDevice((*node.Node).Retire)),
		"POST /v1/devices/return": s.forAdmins(s.turnDevice((*node.Node).Return)),

		"GET /v1/quarantine":        s.forAdmins(s.quarantine),
		"POST /v1/quarantine/retry": s.forAdmins(s.onQuarantined((*node.Node).RetryQuarantined)),
		"POST /v1/quarantine/drop":  s.forAdmins(s.onQuarantined((*node.Node).DropQuarantined)),
	})
	mux.Handle(spacePrefix, s.answer(s.forBearers(func(w http.ResponseWriter, r *http.Request) error {
		return s.enterSpace(w, r, &fallback{inSpace, s})
	})))
	return &fallback{mux, s}
}

func (s *server) mux(handlers map[string]handler) *http.ServeMux {
	mux := http.NewServeMux()
	for pattern, h := range handlers {
		mux.Handle(pattern, s.answer(h))
	}
	return mux
}

// spacePrefix is what comes before the name of a space in a path.
const spacePrefix = "/v1/spaces/"

// enterSpace takes the space out of the path. A pattern could not: it matches no
// name that is a slash.
func (s *server) enterSpace(w http.ResponseWriter, r *http.Request, next http.Handler) error {
	escaped, rest, _ := strings.Cut(strings.TrimPrefix(r.URL.EscapedPath(), spacePrefix), "/")
	space, err := url.PathUnescape(escaped)
	if err != nil {
		return v1.NewProblem(v1.BadRequest, err.Error(), "")
	}
	if err := s.mayUse(r, space); err != nil {
		return err
	}
	inner := r.Clone(r.Context())
	inner.SetPathValue("space", space)
	if inner.URL, err = url.Parse("/" + rest); err != nil {
		return v1.NewProblem(v1.BadRequest, err.Error(), "")
	}
	inner.URL.RawQuery = r.URL.RawQuery
	next.ServeHTTP(w, inner)
	return nil
}

// answer turns a handler's error into a problem.
func (s *server) answer(h handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := h(w, r); err != nil {
			s.fail(w, r, err)
		}
	})
}

// fallback answers in the API's own way what the mux would with plain text.
type fallback struct {
	mux    *http.ServeMux
	server *server
}

// ServeHTTP implements [http.Handler].
func (f *fallback) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if f.knows(r) {
		f.mux.ServeHTTP(w, r)
		return
	}
	for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodDelete} {
		probe := r.Clone(r.Context())
		probe.Method = method
		if f.knows(probe) {
			f.server.fail(w, r, v1.NewProblem(v1.MethodNotAllowed, r.Method+" is not for "+r.URL.Path, "use "+method))
			return
		}
	}
	f.server.fail(w, r, v1.NewProblem(v1.NotFound, "there is nothing at "+r.RequestURI, "the API begins at /v1/status"))
}

func (f *fallback) knows(r *http.Request) bool {
	_, pattern := f.mux.Handler(r)
	return pattern != ""
}

// Server returns an http.Server for the handler, with limits on what it waits
// for and on the size of headers. Handlers bound bodies and their own writing.
func Server(h http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    32 << 10,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
}
