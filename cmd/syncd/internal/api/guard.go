package api

import (
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"

	v1 "github.com/joinery-crdt/joinery/cmd/syncd/internal/v1"
)

// guard refuses requests that were not meant for this daemon: those that a web
// page of another site makes a browser send, by its own name or under a name
// that it lets resolve to this machine, and those for another data directory.
func (s *server) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if p := s.foreign(r); p != nil {
			s.fail(w, r, p)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func (s *server) foreign(r *http.Request) *v1.Problem {
	if !s.knownHost(r.Host) {
		return v1.NewProblem(v1.ForeignHost, "this daemon is not called "+r.Host,
			"address it by IP address or as localhost, or start it with --host "+hostOnly(r.Host))
	}
	if !sameOrigin(r) {
		return v1.NewProblem(v1.ForeignOrigin, "a page of another web site may not use this daemon", "")
	}
	if dir := r.Header.Get(v1.DirHeader); dir != "" && dir != s.About.Dir {
		return v1.NewProblem(v1.OtherDaemon, "the daemon at this address serves "+s.About.Dir+", not "+dir,
			"start one with: syncd serve --dir "+dir)
	}
	return nil
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
