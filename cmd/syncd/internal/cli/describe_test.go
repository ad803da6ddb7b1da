package cli_test

import (
	"encoding/json"
	"testing"

	"github.com/joinery-crdt/joinery/cmd/syncd/internal/cli"
	v1 "github.com/joinery-crdt/joinery/cmd/syncd/internal/v1"
)

func TestDescribe(t *testing.T) {
	for _, c := range []struct{ event, want string }{
		{`{"type":"orset","changed":true,"element":"milk","present":true}`, "+ milk"},
		{`{"type":"orset","changed":true,"element":"milk","present":false}`, "- milk"},
		{`{"type":"orset","changed":false,"element":"milk","present":true}`, "= milk"},
		{`{"type":"pnset","changed":true,"element":"milk","by":-1}`, "milk -1"},
		{`{"type":"pncounter","changed":true,"by":2}`, "+2"},
		{`{"type":"ewflag","changed":true,"value":false}`, "false"},
		{`{"type":"mvregister","changed":true,"values":[1,2]}`, "1 | 2"},
		{`{"type":"lwwmap","changed":true,"field":[1],"present":true,"value":"a"}`, "[1] = a"},
		{`{"type":"lwwmap","changed":true,"field":[1],"present":true,"value":null}`, "[1] = null"},
		{`{"type":"lwwmap","changed":true,"field":[1],"present":false}`, "- [1]"},
		{`{"type":"ormap","changed":true,"path":[{"field":"a","type":"ormap"},{"field":7,"type":"gcounter"}],"by":3}`, "a 7 +3"},
		{`{"type":"ormap","changed":true,"path":[{"field":"a","type":"orset"}],"element":1,"present":true}`, "a + 1"},
		{`{"type":"of a newer daemon","changed":true}`, "changed (of a newer daemon)"},
	} {
		var ev v1.Event
		if err := json.Unmarshal([]byte(c.event), &ev); err != nil {
			t.Fatal(err)
		}
		if got := cli.Describe(ev); got != c.want {
			t.Errorf("%s is %q, want %q", c.event, got, c.want)
		}
	}
}
