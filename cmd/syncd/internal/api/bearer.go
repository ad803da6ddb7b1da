package api

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/joinery-crdt/joinery/cmd/syncd/internal/tokens"
	v1 "github.com/joinery-crdt/joinery/cmd/syncd/internal/v1"
	crdtsync "github.com/joinery-crdt/joinery/sync"
)

// bearer returns what the token of a request allows, or the problem to answer
// with. Without a list of tokens everything is allowed.
func (s *server) bearer(r *http.Request) (tokens.Entry, error) {
	if s.Tokens == nil {
		return tokens.Entry{Access: tokens.Admin}, nil
	}
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok {
		return tokens.Entry{}, v1.NewProblem(v1.Unauthenticated, "this daemon asks for a token",
			"send the header Authorization: Bearer TOKEN; on the command line, name --dir on the daemon's own machine, or --addr and --bearer elsewhere")
	}
	e, err := s.Tokens.Check(strings.TrimSpace(token))
	if err != nil {
		return e, v1.NewProblem(v1.Unauthenticated, err.Error(), "")
	}
	return e, nil
}

// forBearers lets only those in who show a token. What that allows is checked
// further on.
func (s *server) forBearers(h handler) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		if _, err := s.bearer(r); err != nil {
			return err
		}
		return h(w, r)
	}
}

// forAdmins lets only those in whose token is for more than spaces.
func (s *server) forAdmins(h handler) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		e, err := s.bearer(r)
		if err != nil {
			return err
		}
		if e.Access != tokens.Admin {
			return v1.NewProblem(v1.Forbidden, fmt.Sprintf("the token %q is for spaces only", e.Name), "this takes a token with the access admin")
		}
		return h(w, r)
	}
}

// mayUse returns an error unless the token of a request allows what its method
// does with a space. The error does not depend on whether there is such a space.
func (s *server) mayUse(r *http.Request, space string) error {
	e, err := s.bearer(r)
	if err != nil {
		return err
	}
	need, what := crdtsync.AccessRead, "read"
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		need, what = crdtsync.AccessWrite, "write"
	}
	if e.May(space) < need {
		return v1.NewProblem(v1.Forbidden, fmt.Sprintf("the token %q does not allow to %s the space %q", e.Name, what, space),
			"use a token that does")
	}
	return nil
}
