package v1

import (
	"maps"
	"slices"

	"github.com/joinery-crdt/joinery/cmd/syncd/internal/exit"
	"github.com/joinery-crdt/joinery/sync/node"
)

// ProblemType is the media type of errors (RFC 9457).
const ProblemType = "application/problem+json"

// A Problem is the body of every answer that is an error. It is an error itself.
type Problem struct {
	Code   string `json:"code"`  // one of the codes below
	Title  string `json:"title"` // the same for every problem with the code
	Status int    `json:"status"`
	Detail string `json:"detail"` // what is wrong this time
	Hint   string `json:"hint,omitempty"`
	// Op is the index of the operation concerned in its transaction.
	Op *int `json:"op,omitempty"`
	// Import is what became of the changes in a drop file.
	Import *node.ImportReport `json:"import,omitempty"`
}

// Error returns the detail, and the hint if there is one.
func (p *Problem) Error() string {
	if p.Hint == "" {
		return p.Detail
	}
	return p.Detail + "\n  " + p.Hint
}

// The codes of problems. They are stable.
const (
	BadJSON          = "bad_json"
	BadRequest       = "bad_request"
	BadName          = "bad_name"
	BadValue         = "bad_value"
	BadOp            = "bad_op"
	UnknownType      = "unknown_type"
	ReadOnlyType     = "read_only_type"
	BadFile          = "bad_drop_file"
	BadPeer          = "bad_peer"
	BadChange        = "bad_change"
	Unauthenticated  = "unauthenticated"
	Forbidden        = "forbidden"
	ForeignOrigin    = "foreign_origin"
	ForeignHost      = "foreign_host"
	NotFound         = "not_found"
	ObjectNotFound   = "object_not_found"
	PeerNotFound     = "peer_not_found"
	DeviceNotFound   = "device_not_found"
	DeviceAmbiguous  = "device_ambiguous"
	NotQuarantined   = "not_quarantined"
	MethodNotAllowed = "method_not_allowed"
	FileIncomplete   = "file_incomplete"
	ChangesRefused   = "changes_refused"
	ChangeWaits      = "change_waits"
	ElementRemoved   = "element_removed"
	ElementExists    = "element_exists"
	CounterOverflow  = "counter_overflow"
	TooFewRights     = "too_few_rights"
	TooLarge         = "too_large"
	OtherDaemon      = "other_daemon"
	Upgrade          = "websocket_expected"
	TooMany          = "too_many_watches"
	Lagged           = "lagged"
	ShuttingDown     = "shutting_down"
	StoreFailed      = "store_failed"
	StoreUnavailable = "store_unavailable"
	StoreDamaged     = "store_damaged"
	Internal         = "internal"
)

// A kind is what all problems with one code have in common.
type kind struct {
	title  string
	status int
	exit   int
}

var kinds = map[string]kind{
	BadJSON:          {"malformed JSON", 400, exit.Usage},
	BadRequest:       {"malformed request", 400, exit.Usage},
	BadName:          {"unusable name", 400, exit.Usage},
	BadValue:         {"unusable value", 400, exit.Usage},
	BadOp:            {"unusable operation", 400, exit.Usage},
	UnknownType:      {"unknown type", 400, exit.Usage},
	ReadOnlyType:     {"type can only be read here", 400, exit.Usage},
	BadFile:          {"unusable drop file", 400, exit.Failure},
	BadPeer:          {"unusable peer", 400, exit.Usage},
	BadChange:        {"unusable name of a change", 400, exit.Usage},
	Unauthenticated:  {"token needed", 401, exit.Refused},
	Forbidden:        {"token does not allow it", 403, exit.Refused},
	ForeignOrigin:    {"request of another web site", 403, exit.Refused},
	ForeignHost:      {"request for another host", 403, exit.Refused},
	NotFound:         {"no such resource", 404, exit.NotFound},
	ObjectNotFound:   {"no such object", 404, exit.NotFound},
	PeerNotFound:     {"no such peer", 404, exit.NotFound},
	DeviceNotFound:   {"no such device", 404, exit.NotFound},
	DeviceAmbiguous:  {"several such devices", 409, exit.Usage},
	NotQuarantined:   {"no such change in quarantine", 404, exit.NotFound},
	MethodNotAllowed: {"method not allowed", 405, exit.Usage},
	FileIncomplete:   {"drop file depends on changes that are not here", 409, exit.Refused},
	ChangesRefused:   {"changes refused", 409, exit.Refused},
	ChangeWaits:      {"change waits for another", 409, exit.Refused},
	ElementRemoved:   {"element was removed for ever", 409, exit.Refused},
	ElementExists:    {"element is there already", 409, exit.Refused},
	CounterOverflow:  {"counter at its limit", 409, exit.Refused},
	TooFewRights:     {"too few rights to count down", 409, exit.Refused},
	TooLarge:         {"too large", 413, exit.Usage},
	OtherDaemon:      {"another daemon", 421, exit.Unreachable},
	Upgrade:          {"WebSocket expected", 426, exit.Usage},
	TooMany:          {"too many watches", 503, exit.Refused},
	Lagged:           {"too slow", 503, exit.Failure},
	ShuttingDown:     {"shutting down", 503, exit.Unreachable},
	StoreFailed:      {"store failed", 503, exit.Storage},
	StoreUnavailable: {"store cannot be reached", 503, exit.Storage},
	StoreDamaged:     {"store damaged", 500, exit.Storage},
	Internal:         {"internal error", 500, exit.Failure},
}

// Codes returns the codes, ascending.
func Codes() []string { return slices.Sorted(maps.Keys(kinds)) }

// NewProblem returns a problem with one of the codes above.
func NewProblem(code, detail, hint string) *Problem {
	k := kinds[code]
	return &Problem{Code: code, Title: k.title, Status: k.status, Detail: detail, Hint: hint}
}

// ExitCode returns the exit code of a command that meets the problem.
func (p *Problem) ExitCode() int {
	if k, ok := kinds[p.Code]; ok {
		return k.exit
	}
	return exit.Failure
}
