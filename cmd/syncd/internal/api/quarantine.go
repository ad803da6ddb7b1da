package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	v1 "github.com/joinery-crdt/joinery/cmd/syncd/internal/v1"
	"github.com/joinery-crdt/joinery/merge"
	crdtsync "github.com/joinery-crdt/joinery/sync"
	"github.com/joinery-crdt/joinery/sync/node"
)

// quarantine lists the changes that were refused and are kept.
func (s *server) quarantine(w http.ResponseWriter, _ *http.Request) error {
	return reply(w, http.StatusOK, v1.Quarantine{Quarantine: s.Node.Quarantine()})
}

// onQuarantined does something with a change that is in quarantine.
func (s *server) onQuarantined(do func(*node.Node, context.Context, string, merge.Dot) error) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		var body v1.ChangeChoice
		if err := readBody(w, r, &body); err != nil {
			return err
		}
		d, err := changeOf(body.Space, body.Change)
		if err != nil {
			return err
		}
		if err := do(s.Node, r.Context(), body.Space, d); err != nil {
			return stillRefused(err)
		}
		return reply(w, http.StatusOK, body)
	}
}

// stillRefused says what can be done about a change that is refused again.
func stillRefused(err error) error {
	if e, ok := errors.AsType[*crdtsync.RefusedError](err); ok {
		return v1.NewProblem(v1.ChangesRefused, err.Error(), crdtsync.HintOf(crdtsync.CodeOf(e)))
	}
	if e, ok := errors.AsType[*crdtsync.EarlyError](err); ok {
		return v1.NewProblem(v1.ChangeWaits, err.Error(), fmt.Sprintf("connect a peer, or import a file, that has %s", e.Missing))
	}
	return err
}

// explain says where a change of the space is.
func (s *server) explain(w http.ResponseWriter, r *http.Request) error {
	choice := v1.ChangeChoice{Space: r.PathValue("space"), Change: r.URL.Query().Get("change")}
	d, err := changeOf(choice.Space, choice.Change)
	if err != nil {
		return err
	}
	return reply(w, http.StatusOK, v1.Explained{ChangeChoice: choice, Whereabouts: s.Node.Explain(r.Context(), choice.Space, d)})
}

// changeOf reads the name of a change in a space, in the form in which the API
// writes it and no other.
func changeOf(space, change string) (d merge.Dot, err error) {
	if err := crdtsync.CheckName("space", space, crdtsync.MaxSpace); err != nil {
		return d, err
	}
	origin, seq, _ := strings.Cut(change, "/")
	if d.Origin, err = merge.ParseOrigin(origin); err == nil {
		d.Seq, err = strconv.ParseUint(seq, 10, 64)
	}
	if err != nil || d.Seq == 0 || d.Seq > merge.MaxSeq || d.String() != change {
		return d, v1.NewProblem(v1.BadChange, fmt.Sprintf("%.80q names no change", change), "give origin/number, as writing prints it")
	}
	return d, nil
}
