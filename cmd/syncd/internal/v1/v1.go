// Package v1 is the JSON of syncd's HTTP API, version 1: what its server writes
// and its clients read. Fields are only ever added.
package v1

import (
	"time"

	"github.com/joinery-crdt/joinery/cmd/syncd/internal/jsonvalue"
	"github.com/joinery-crdt/joinery/sync/node"
)

// Limits of the API.
const (
	MaxBody   = 2 << 20 // bytes in a JSON body
	MaxImport = 8 << 30 // bytes in a drop file
	MaxPage   = 1000    // objects in a page
)

// DirHeader names the data directory that a request is meant for, as an escaped
// path. A daemon with another one refuses it: its address was that of another daemon before.
const DirHeader = "Joinery-Dir"

// A Status is the answer of GET /v1/status.
type Status struct {
	Version string    `json:"version"`
	Address string    `json:"address"` // where the daemon listens, a URL
	Dir     string    `json:"dir"`
	Started time.Time `json:"started"`
	node.Status
}

// Spaces is the answer of GET /v1/spaces.
type Spaces struct {
	Spaces []node.SpaceStatus `json:"spaces"`
}

// Objects is a page of the answer of GET /v1/spaces/{space}/objects.
type Objects struct {
	Space   string        `json:"space"`
	Objects []node.Object `json:"objects"`
	// Next is the parameter after of the next page, empty if this is the last.
	Next string `json:"next,omitempty"`
}

// An Object is the answer of GET /v1/spaces/{space}/objects/{type}/{key}.
type Object struct {
	Space string `json:"space"`
	Key   string `json:"key"`
	Type  string `json:"type"`
	Content
}

// Content is what an object holds. Which of the fields it has depends on the
// type.
type Content struct {
	// Elements of a set, in the order of their encodings.
	Elements []jsonvalue.Value `json:"elements,omitzero"`
	// Values of a multi-value register, in the order of their changes.
	Values []jsonvalue.Value `json:"values,omitzero"`
	// Conflict says that Values are concurrent; set the right one.
	Conflict bool `json:"conflict,omitempty"`
	// Value of a register or a counter, and whether a flag is enabled.
	Value jsonvalue.Value `json:"value,omitzero"`
	// Change and Time are those of the latest write of a register or of a field
	// of an lwwmap.
	Change string    `json:"change,omitempty"`
	Time   time.Time `json:"time,omitzero"`
	// Rights is by how much each origin that can may count a bounded counter
	// down.
	Rights map[string]uint64 `json:"rights,omitzero"`
	// Fields of a map that are present, in the order of their encodings.
	Fields []Field `json:"fields,omitzero"`
}

// A Field is one of a map: of an lwwmap with its value, of an ormap with an
// object. Two types in one field of an ormap are two of them.
type Field struct {
	Field jsonvalue.Value `json:"field"`
	Type  string          `json:"type,omitempty"` // of the object in it
	Content
}

// A Transaction is the body of POST /v1/spaces/{space}/tx: all of its operations
// are done, as one change, or none.
type Transaction struct {
	Ops []Op `json:"ops"`
}

// An Op is one operation on one object.
type Op struct {
	Op    string          `json:"op"`             // add, remove, set, clear, inc, reset, enable, disable
	Type  string          `json:"type,omitempty"` // by default orset, lww, mvregister, pncounter or ewflag, after Op; lwwmap with a Field
	Key   string          `json:"key"`
	Field jsonvalue.Value `json:"field,omitzero"` // of set and remove in a map
	Value jsonvalue.Value `json:"value,omitzero"` // of add, remove and set
	By    *int64          `json:"by,omitempty"`   // of inc, 1 by default
}

// Written is the answer to a transaction. It is durable.
type Written struct {
	Space   string `json:"space"`
	Change  string `json:"change,omitempty"` // origin/seq; empty if there was nothing to change
	Changed bool   `json:"changed"`          // false if there was nothing to change
}

// An Event is what one change did to one part of an object, in a watch.
type Event struct {
	Space  string    `json:"space"`
	Key    string    `json:"key"`
	Type   string    `json:"type"`
	Change string    `json:"change"` // origin/seq
	Time   time.Time `json:"time"`
	Local  bool      `json:"local"`   // this node made the change
	Differ bool      `json:"changed"` // what can be read is another than before
	// Path leads to what changed in an ormap, the outermost field first. What
	// follows is as for the type of the last.
	Path []Step `json:"path,omitempty"`
	// Field of an lwwmap; Present says whether it has a value now.
	Field jsonvalue.Value `json:"field,omitzero"`
	// Element of a set, and whether it is in the set now.
	Element jsonvalue.Value `json:"element,omitzero"`
	Present *bool           `json:"present,omitempty"`
	// Value and Values of a register now, of a field of an lwwmap, and whether a
	// flag is enabled.
	Value  jsonvalue.Value   `json:"value,omitzero"`
	Values []jsonvalue.Value `json:"values,omitzero"`
	// By is what the change added to a counter, or to the count of an element of
	// a pnset.
	By *int64 `json:"by,omitempty"`
	// Conflict is set if the change met one that its author had not seen.
	Conflict *Conflict `json:"conflict,omitempty"`
}

// A Step is one field on the way into an ormap.
type Step struct {
	Field jsonvalue.Value `json:"field"`
	Type  string          `json:"type"`
}

// A Conflict is two concurrent writes to one register or field of an lwwmap.
type Conflict struct {
	Kept  Side `json:"kept"`  // prevails
	Other Side `json:"other"` // does not, or is kept beside it in a multi-value register
}

// A Side is one of two concurrent writes, without a value if it removed a field.
type Side struct {
	Change string          `json:"change"`
	Value  jsonvalue.Value `json:"value,omitzero"`
}

// Ready is the first event of a watch: changes that come from now on are
// reported. Some that Vector contains may be reported too.
type Ready struct {
	Space  string            `json:"space"`
	Vector map[string]uint64 `json:"vector"` // origin -> newest change applied
}

// Names of the events of a watch.
const (
	EventReady  = "ready"
	EventChange = "change"
	EventEnd    = "end" // data is a Problem that says why
)

// States of a peer.
const (
	PeerConnecting = "connecting"
	PeerConnected  = "connected"
	PeerWaiting    = "waiting" // for the next attempt
	PeerRefused    = "refused" // trying again cannot help
)

// A Peer is what a daemon knows of an address it connects to.
type Peer struct {
	URL   string `json:"url"`
	State string `json:"state"`
	Name  string `json:"name,omitempty"`
	Error string `json:"error,omitempty"` // why it is not connected
	// TokenFile is where the token is that is shown to it.
	TokenFile string `json:"token_file,omitempty"`
}

// Peers is the answer of GET /v1/peers.
type Peers struct {
	Peers []Peer `json:"peers"`
}

// Devices is the answer of GET /v1/devices.
type Devices struct {
	Devices []node.Device `json:"devices"`
}

// A DeviceChoice is the body of POST /v1/devices/retire and /v1/devices/return.
type DeviceChoice struct {
	Device string `json:"device"` // its name or its origin
}

// Quarantine is the answer of GET /v1/quarantine.
type Quarantine struct {
	Quarantine []node.Quarantined `json:"quarantine"`
}

// A ChangeChoice is the body of POST /v1/quarantine/retry and /v1/quarantine/drop
// and, when that is done, their answer.
type ChangeChoice struct {
	Space  string `json:"space"`
	Change string `json:"change"` // origin/seq
}

// Explained is the answer of GET /v1/spaces/{space}/explain: where the change is,
// on this node first, then at each peer.
type Explained struct {
	ChangeChoice
	Whereabouts []node.Whereabouts `json:"whereabouts"`
}

// NewPeer is the body of POST /v1/peers.
type NewPeer struct {
	URL string `json:"url"`
	// TokenFile is the absolute path of a file with the token to show to the peer,
	// empty for none. The daemon reads it, again when it changes.
	TokenFile string `json:"token_file,omitempty"`
}
