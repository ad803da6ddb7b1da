// Package replay drives real nodes through a recorded multi-writer history and
// compares what they end with to results that were computed without them.
//
// A history is a graph of events. Each replica of it is a node of its own, with
// its own store and origin. An event sees exactly its ancestors: before a
// replica makes one, it is brought what its parents had seen and no more, as
// drop files whose changes a careless carrier has shuffled and repeated.
package replay

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
)

// ErrHistory is the kind of every [*HistoryError].
var ErrHistory = errors.New("replay: not a history")

// A HistoryError reports a line that does not belong into a history.
type HistoryError struct {
	Line    int // from 1
	Problem string
}

// Error names the line.
func (e *HistoryError) Error() string {
	return fmt.Sprintf("replay: line %d of the history: %s", e.Line, e.Problem)
}

// Is makes a HistoryError match [ErrHistory].
func (e *HistoryError) Is(target error) bool { return target == ErrHistory }

// An Event is one step of one replica.
type Event struct {
	ID      int          `json:"id"`      // position in the history, from 0
	Parents []int        `json:"parents"` // what happened directly before
	Replica int          `json:"replica"` // who made it, from 0
	Time    int64        `json:"time"`    // its own wall clock, Unix seconds
	Changes []PathChange `json:"changes"`
}

// A PathChange is one change of an event: a kind and a path.
type PathChange [2]string

// kindsOfChange is added, modified, deleted, and of another type than before (a
// link that was a file), which counts as modified.
var kindsOfChange = []string{"A", "M", "D", "T"}

// Deletes reports whether the change deletes its path.
func (c PathChange) Deletes() bool { return c[0] == "D" }

// Path returns the path.
func (c PathChange) Path() string { return c[1] }

// A History is a causally ordered list of events: parents before children.
type History struct {
	Events   []Event
	Replicas int
	Paths    int
	Changes  int
}

// Load reads a history file, gzipped NDJSON.
func Load(path string) (*History, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("replay: %w", err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		return nil, &HistoryError{0, "the file is not gzipped: " + err.Error()}
	}
	return Read(z)
}

// maxLine bounds one line of a history in bytes.
const maxLine = 16 << 20

// Read reads a history as NDJSON and checks it.
func Read(r io.Reader) (*History, error) {
	h := &History{}
	paths := make(map[string]struct{})
	last := make(map[int]int) // replica -> its last event
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxLine)
	for lines.Scan() {
		n := len(h.Events) + 1
		d := json.NewDecoder(bytes.NewReader(lines.Bytes()))
		d.DisallowUnknownFields()
		var e Event
		if err := d.Decode(&e); err != nil {
			return nil, &HistoryError{n, err.Error()}
		}
		if problem := e.check(len(h.Events)); problem != "" {
			return nil, &HistoryError{n, problem}
		}
		h.Events = append(h.Events, e)
		last[e.Replica] = e.ID
		h.Changes += len(e.Changes)
		for _, c := range e.Changes {
			paths[c.Path()] = struct{}{}
		}
	}
	if err := lines.Err(); err != nil {
		return nil, &HistoryError{len(h.Events) + 1, err.Error()}
	}
	if len(h.Events) == 0 {
		return nil, &HistoryError{1, "no events"}
	}
	h.Replicas, h.Paths = len(last), len(paths)
	for id := range last {
		if id >= h.Replicas {
			return nil, &HistoryError{last[id] + 1, fmt.Sprintf("replica %d of only %d", id, h.Replicas)}
		}
	}
	return h, nil
}

// check returns what is wrong with e as the event of number want.
func (e *Event) check(want int) string {
	if e.ID != want {
		return fmt.Sprintf("event %d where %d is due", e.ID, want)
	}
	if e.Replica < 0 {
		return "a negative replica"
	}
	for _, p := range e.Parents {
		if p < 0 || p >= e.ID {
			return fmt.Sprintf("parent %d does not come before event %d", p, e.ID)
		}
	}
	seen := make(map[string]bool, len(e.Changes))
	for _, c := range e.Changes {
		switch {
		case !slices.Contains(kindsOfChange, c[0]):
			return fmt.Sprintf("unknown kind of change %q", c[0])
		case c.Path() == "" || seen[c.Path()]:
			return fmt.Sprintf("path %q is empty or changed twice", c.Path())
		}
		seen[c.Path()] = true
	}
	return ""
}
