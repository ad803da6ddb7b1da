package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/joinery-crdt/joinery/cmd/syncd/internal/jsonvalue"
	v1 "github.com/joinery-crdt/joinery/cmd/syncd/internal/v1"
	"github.com/joinery-crdt/joinery/crdt"
)

// patience is how long a client may stall while it sends or receives.
const patience = 30 * time.Second

// envelope is how deep the API's own JSON is nested around values.
const envelope = 4

func tooLong(limit int64) *v1.Problem {
	return v1.NewProblem(v1.TooLarge, fmt.Sprintf("the body has more than %d bytes", limit), "send less at a time")
}

// readBody reads a JSON body into v, strictly: in UTF-8, with each key once and
// known.
func readBody(w http.ResponseWriter, r *http.Request, v any) error {
	in := patientReader{http.MaxBytesReader(w, r.Body, v1.MaxBody), http.NewResponseController(w)}
	body, err := io.ReadAll(in)
	if err != nil {
		return err
	}
	if err := jsonvalue.Check(body, jsonvalue.MaxDepth+envelope); err != nil {
		return err
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.DisallowUnknownFields()
	return bodyError(dec.Decode(v))
}

// bodyError returns err as a problem, unless it is one of a value.
func bodyError(err error) error {
	if err == nil || errors.Is(err, jsonvalue.ErrJSON) || errors.Is(err, crdt.ErrValue) {
		return err
	}
	if e, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return v1.NewProblem(v1.BadRequest, fmt.Sprintf("the field %q cannot be the %s it is", e.Field, e.Value),
			fmt.Sprintf("give a %s", e.Type))
	}
	return v1.NewProblem(v1.BadRequest, err.Error(), "")
}

// reply answers with v as JSON.
func reply(w http.ResponseWriter, status int, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(patience))
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "private, no-store")
	w.WriteHeader(status)
	_, _ = w.Write(append(b, '\n')) // the client may be gone
	return nil
}

// patientReader reads a body of any length as long as it does not stall. At its
// end it lifts the deadline, which would cancel the request.
type patientReader struct {
	r  io.Reader
	rc *http.ResponseController
}

// Read implements [io.Reader].
func (p patientReader) Read(b []byte) (int, error) {
	_ = p.rc.SetReadDeadline(time.Now().Add(patience))
	n, err := p.r.Read(b)
	if err != nil {
		_ = p.rc.SetReadDeadline(time.Time{})
	}
	return n, err
}

// patientWriter writes an answer of any length as long as the client reads.
type patientWriter struct {
	w  io.Writer
	rc *http.ResponseController
}

// Write implements [io.Writer].
func (p patientWriter) Write(b []byte) (int, error) {
	_ = p.rc.SetWriteDeadline(time.Now().Add(patience))
	return p.w.Write(b)
}
