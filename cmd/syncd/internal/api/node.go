package api

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"slices"
	"time"

	v1 "github.com/joinery-crdt/joinery/cmd/syncd/internal/v1"
	crdtsync "github.com/joinery-crdt/joinery/sync"
	"github.com/joinery-crdt/joinery/sync/node"
	"github.com/joinery-crdt/joinery/sync/wire"
)

// live says that the process answers.
func (s *server) live(w http.ResponseWriter, _ *http.Request) error {
	return reply(w, http.StatusOK, map[string]string{"status": "alive"})
}

// ready says that the store takes writes.
func (s *server) ready(w http.ResponseWriter, _ *http.Request) error {
	for _, p := range s.Node.Status().Problems {
		if p.Code == v1.StoreFailed || p.Code == v1.StoreUnavailable {
			return v1.NewProblem(p.Code, p.Cause, p.Action)
		}
	}
	return reply(w, http.StatusOK, map[string]string{"status": "ready"})
}

// status says what the node holds and what does not flow.
func (s *server) status(w http.ResponseWriter, _ *http.Request) error {
	st := s.About
	st.Status = s.Node.Status()
	st.Problems = append(st.Problems, s.Peers.Problems()...)
	if s.Tokens != nil {
		st.Problems = append(st.Problems, s.Tokens.Problems()...)
	}
	for _, p := range s.Peers.List() {
		if p.State == v1.PeerRefused {
			addCommands(st.Problems, p)
		}
	}
	for i := range st.Problems {
		if p := &st.Problems[i]; p.Code == "credential_refused" {
			p.Action += "\n  make one on this device with: syncd token issue NAME"
		}
	}
	return reply(w, http.StatusOK, st)
}

// addCommands says with which commands to act on a peer at which trying again
// cannot help.
func addCommands(problems []node.Problem, peer v1.Peer) {
	for i := range problems {
		p := &problems[i]
		if p.Peer != peer.URL {
			continue
		}
		switch {
		case p.Code == "needs_auth" && peer.TokenFile != "":
			p.Action += fmt.Sprintf("\n  put another token into %s: it is read again by itself", peer.TokenFile)
		case p.Code == "needs_auth":
			p.Action += fmt.Sprintf("\n  make a token on that device with: syncd token issue NAME\n  show it with: syncd peers add %s --token-file FILE", peer.URL)
		default:
			p.Action += fmt.Sprintf("\n  try again with: syncd peers add %s", peer.URL)
		}
		p.Action += fmt.Sprintf("\n  take it off with: syncd peers remove %s", peer.URL)
	}
}

// spaces lists the spaces that hold something.
func (s *server) spaces(w http.ResponseWriter, r *http.Request) error {
	e, err := s.bearer(r)
	if err != nil {
		return err
	}
	hidden := func(sp node.SpaceStatus) bool { return e.May(sp.Name) == crdtsync.AccessNone }
	return reply(w, http.StatusOK, v1.Spaces{Spaces: slices.DeleteFunc(s.Node.Status().Spaces, hidden)})
}

func (s *server) peers(w http.ResponseWriter, _ *http.Request) error {
	return reply(w, http.StatusOK, v1.Peers{Peers: s.Peers.List()})
}

func (s *server) addPeer(w http.ResponseWriter, r *http.Request) error {
	var body v1.NewPeer
	if err := readBody(w, r, &body); err != nil {
		return err
	}
	p, err := s.Peers.Add(body)
	if err != nil {
		return err
	}
	return reply(w, http.StatusCreated, p)
}

func (s *server) removePeer(w http.ResponseWriter, r *http.Request) error {
	url := r.URL.Query().Get("url")
	found, err := s.Peers.Remove(url)
	if err != nil {
		return err
	}
	if !found {
		return v1.NewProblem(v1.PeerNotFound, fmt.Sprintf("there is no peer %q", url), "see: syncd peers list")
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// sync speaks the sync protocol with a peer that connects. It returns before that
// ends: the server holds about 20 KB for a request that is being answered.
func (s *server) sync(w http.ResponseWriter, r *http.Request) error {
	if r.Header.Get("Upgrade") == "" {
		return v1.NewProblem(v1.Upgrade, "peers connect here with WebSocket", "syncd peers add this URL, with ws in place of http")
	}
	rc := http.NewResponseController(w)
	_ = rc.SetReadDeadline(time.Time{})
	_ = rc.SetWriteDeadline(time.Time{})
	conn, err := s.Accept(w, r)
	if err != nil {
		s.Logger.Info("peer not accepted", "err", err)
		return nil // Accept has answered
	}
	remote := r.RemoteAddr
	go func() {
		err := s.Node.Serve(s.Stop, conn)
		s.Logger.Info("peer left", "remote", remote, "err", err)
	}()
	return nil
}

// export answers with a drop file of a space.
func (s *server) export(w http.ResponseWriter, r *http.Request) error {
	space := s.Node.Space(r.PathValue("space"))
	if space.Summary().Changes == 0 {
		return v1.NewProblem(v1.NotFound, fmt.Sprintf("the space %q holds nothing", space.Name()), "see: syncd spaces")
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Cache-Control", "private, no-store")
	_, err := space.Export(r.Context(), patientWriter{w, http.NewResponseController(w)}, node.Cut{})
	if err != nil {
		s.Logger.Error("export", "space", space.Name(), "err", err)
		panic(http.ErrAbortHandler) // the file has begun: its reader sees that it is cut off
	}
	return nil
}

// admit returns a drop file, if the token of the request allows to write the space
// that it is of.
func (s *server) admit(r *http.Request, body io.Reader) (io.Reader, error) {
	if s.Tokens == nil {
		return body, nil
	}
	var begun bytes.Buffer
	file, err := wire.NewFileReader(io.TeeReader(body, &begun))
	if err != nil {
		return nil, err
	}
	return io.MultiReader(&begun, body), s.mayUse(r, file.Header().Space)
}

// importFile applies a drop file and answers with what became of its changes.
func (s *server) importFile(w http.ResponseWriter, r *http.Request) error {
	rc := http.NewResponseController(w)
	file, err := s.admit(r, patientReader{http.MaxBytesReader(w, r.Body, v1.MaxImport), rc})
	if err != nil {
		return err
	}
	report, err := s.Node.Import(r.Context(), file)
	var p *v1.Problem
	switch {
	case err != nil:
		p = problemOf(err)
	case report.Refused > 0:
		p = v1.NewProblem(v1.ChangesRefused, fmt.Sprintf("%d changes were refused: %s", report.Refused, report.Reason),
			"the rest was applied; see: syncd status")
	default:
		return reply(w, http.StatusOK, report)
	}
	p.Import = &report
	return p
}
