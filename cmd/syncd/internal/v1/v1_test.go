package v1_test

import (
	"encoding/json"
	"testing"

	"github.com/joinery-crdt/joinery/cmd/syncd/internal/exit"
	v1 "github.com/joinery-crdt/joinery/cmd/syncd/internal/v1"
	"github.com/joinery-crdt/joinery/sync/node"
)

func TestEveryProblemIsComplete(t *testing.T) {
	for _, code := range v1.Codes() {
		p := v1.NewProblem(code, "d", "h")
		if p.Title == "" || p.Status < 400 || p.Status > 599 || p.ExitCode() == exit.OK || p.Error() != "d\n  h" {
			t.Errorf("%s: %+v, exit code %d", code, p, p.ExitCode())
		}
	}
	if p := (&v1.Problem{Code: "of a newer daemon", Detail: "d"}); p.ExitCode() != exit.Failure || p.Error() != "d" {
		t.Errorf("a problem with an unknown code: %d %q", p.ExitCode(), p.Error())
	}
}

// TestStatusIsANodesStatus: programs that know the status of a node read that of
// a daemon.
func TestStatusIsANodesStatus(t *testing.T) {
	in := v1.Status{Version: "1", Status: node.Status{Name: "n", Spaces: []node.SpaceStatus{{Name: "s", Changes: 3}}}}
	b, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	var out node.Status
	if err := json.Unmarshal(b, &out); err != nil || out.Name != "n" || len(out.Spaces) != 1 || out.Spaces[0].Changes != 3 {
		t.Errorf("%s is %+v, %v", b, out, err)
	}
}
