package api

import (
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	v1 "github.com/joinery-crdt/joinery/cmd/syncd/internal/v1"
)

// guard refuses requests that were not meant for this daemon: those that a web
// page of another site makes a browser send, by its own name or under a name
// that it lets resolve to this machine, and those for another data directory.
func (s *server) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// The connection may still have the deadline of the request before.
		_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(patience))
		if p := s.foreign(r); p != nil {
			s.fail(w, r, p)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func (s *server) foreign(r *http.Request) *v1.Problem {
	if s.Tokens == nil && !s.knownHost(r.Host) { // no page has a token
		return v1.NewProblem(v1.ForeignHost, "this daemon is not called "+r.Host,
			"address it by IP address or as localhost, or start it with --host "+hostOnly(r.Host))
	}
	if !sameOrigin(r) {
		return v1.NewProblem(v1.ForeignOrigin, "a page of another web site may not use this daemon", "")
	}
	if dir := r.Header.Get(v1.DirHeader); dir != "" && !s.serves(dir) {
		return v1.NewProblem(v1.OtherDaemon, fmt.Sprintf("the daemon at this address does not serve %s but %s", dir, s.About.Dir),
			"start the right one with: syncd serve --dir "+dir)
	}
	return nil
}

// serves reports whether an escaped path is that of the daemon's directory.
func (s *server) serves(escaped string) bool {
	path, err := url.PathUnescape(escaped)
	if err != nil {
		return false
	}
	asked, err := os.Stat(path)
	if err != nil {
		return false
	}
	own, err := os.Stat(s.About.Dir)
	return err == nil && os.SameFile(asked, own)
}

// knownHost reports whether a name cannot have been made to resolve here by
// somebody else: an address, localhost, or a configured name.
func (s *server) knownHost(hostport string) bool {
	host := hostOnly(hostport)
	return host == "localhost" || net.ParseIP(host) != nil || slices.Contains(s.Hosts, host)
}

func hostOnly(hostport string) string {
	host, _, err := net.SplitHostPort(hostport)
	if err != nil {
		host = hostport
	}
	return strings.ToLower(strings.Trim(host, "[]"))
}

// sameOrigin reports whether a request comes from no web page, or from one that
// this daemon itself served.
func sameOrigin(r *http.Request) bool {
	switch r.Header.Get("Sec-Fetch-Site") {
	case "cross-site", "same-site":
		return false
	}
	origin := r.Header.Get("Origin")
	if origin == "" {
		return true
	}
	u, err := url.Parse(origin)
	return err == nil && u.Host != "" && strings.EqualFold(u.Host, r.Host)
}
