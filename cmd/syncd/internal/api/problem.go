package api

import (
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/joinery-crdt/joinery/cmd/syncd/internal/jsonvalue"
	"github.com/joinery-crdt/joinery/cmd/syncd/internal/objects"
	"github.com/joinery-crdt/joinery/cmd/syncd/internal/tokens"
	v1 "github.com/joinery-crdt/joinery/cmd/syncd/internal/v1"
	"github.com/joinery-crdt/joinery/crdt"
	"github.com/joinery-crdt/joinery/store"
	"github.com/joinery-crdt/joinery/store/pgstore"
	crdtsync "github.com/joinery-crdt/joinery/sync"
	"github.com/joinery-crdt/joinery/sync/node"
	"github.com/joinery-crdt/joinery/sync/wire"
)

// causes maps kinds of errors to problems, the first that matches counts.
var causes = []struct {
	kind error
	code string
	hint string
}{
	{objects.ErrType, v1.UnknownType, ""},
	{objects.ErrOp, v1.BadOp, ""},
	{objects.ErrReadOnly, v1.ReadOnlyType, ""},
	{jsonvalue.ErrJSON, v1.BadJSON, ""},
	{crdt.ErrValue, v1.BadValue, "a value is any JSON value; an element has at most 4096 bytes"},
	{crdtsync.ErrName, v1.BadName, "a space has 1 to 255 bytes, a key 1 to 1024, in UTF-8"},
	{crdtsync.ErrTooLarge, v1.TooLarge, "split the transaction"},
	{crdt.ErrOverflow, v1.CounterOverflow, "this node's share of the counter cannot grow further; count on under another key"},
	{crdt.ErrRemoved, v1.ElementRemoved, "a two-phase set takes nothing back; use the type orset for what comes and goes"},
	{crdt.ErrAdded, v1.ElementExists, "a uset takes each element once; put something new into it, such as a UUID, or use the type orset"},
	{crdt.ErrRights, v1.TooFewRights, "count up on this device first, or count down on one that has rights; reading the counter shows who has them"},
	{tokens.ErrFile, v1.BadPeer, ""},
	{wire.ErrFile, v1.BadFile, "export it again, or copy it again; what was applied before the damage stays"},
	{wire.ErrFrame, v1.BadFile, "export it again, or copy it again; what was applied before the damage stays"},
	{node.ErrIncomplete, v1.FileIncomplete, "import or sync what it depends on, then import it again"},
	{node.ErrNoDevice, v1.DeviceNotFound, "see: syncd devices list"},
	{node.ErrManyDevices, v1.DeviceAmbiguous, "see: syncd devices list"},
	{node.ErrNotQuarantined, v1.NotQuarantined, "see: syncd quarantine list"},
	{node.ErrLagged, v1.Lagged, "read the objects again and watch anew"},
	{node.ErrClosed, v1.ShuttingDown, "try again when the daemon runs"},
	{store.ErrClosed, v1.ShuttingDown, "try again when the daemon runs"},
	{store.ErrUncertain, v1.StoreFailed, "check the disk, then restart the daemon; nothing that was acknowledged is lost"},
	{pgstore.ErrUnavailable, v1.StoreUnavailable, "nothing was written; try again when the database can be reached"},
	{store.ErrReadOnly, v1.StoreFailed, "make room on the disk"},
}

// problemOf returns the problem that err is answered with.
func problemOf(err error) *v1.Problem {
	if p, ok := errors.AsType[*v1.Problem](err); ok {
		return p
	}
	p := classify(err)
	if e, ok := errors.AsType[*objects.OpError](err); ok {
		p.Op = &e.Index
	}
	if e, ok := errors.AsType[*objects.Error](err); ok && e.Hint != "" {
		p.Hint = e.Hint
	}
	return p
}

func classify(err error) *v1.Problem {
	if e, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return tooLong(e.Limit)
	}
	if _, ok := errors.AsType[*store.CorruptError](err); ok {
		return v1.NewProblem(v1.StoreDamaged, err.Error(), "keep the data directory, and sync into an empty one from a peer")
	}
	for _, c := range causes {
		if errors.Is(err, c.kind) {
			return v1.NewProblem(c.code, err.Error(), c.hint)
		}
	}
	return v1.NewProblem(v1.Internal, err.Error(), "see the daemon's log")
}

// fail answers with the problem that err is.
func (s *server) fail(w http.ResponseWriter, r *http.Request, err error) {
	if r.Context().Err() != nil {
		return // nobody listens
	}
	p := problemOf(err)
	if p.Status >= http.StatusInternalServerError {
		s.Logger.Error("request", "code", p.Code, "method", r.Method, "path", r.URL.Path, "err", err)
	}
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(patience))
	if p.Status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", "Bearer")
	}
	w.Header().Set("Content-Type", v1.ProblemType)
	w.Header().Set("Cache-Control", "private, no-store")
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(p) // the client may be gone
}
