package main_test

import (
	"strings"
	"testing"
)

func TestKilltestFindsEverythingThere(t *testing.T) {
	r := run(t, "", environment(t), "killtest", "--kills", "10", "--writers", "4")
	if r.code != 0 || !strings.HasPrefix(r.stdout, "10 kills under load, ") {
		t.Fatalf("exit code %d\n%s%s", r.code, r.stdout, r.stderr)
	}
}

func TestKilltestRefusesNoKills(t *testing.T) {
	if r := run(t, "", environment(t), "killtest", "--kills", "0"); r.code == 0 || !strings.Contains(r.stderr, "must be positive") {
		t.Fatalf("exit code %d\n%s%s", r.code, r.stdout, r.stderr)
	}
}
