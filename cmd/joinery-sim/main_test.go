package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestLedger(t *testing.T) {
	file := filepath.Join(t.TempDir(), "ledger")
	args := []string{"-ledger", file, "-steps", "20", "-chunk", "2", "-seeds"}
	var first, second, broken strings.Builder
	if code := run(append(args, "4"), &first, &first); code != 0 {
		t.Fatalf("run = %d, want 0:\n%s", code, first.String())
	}
	if !strings.Contains(first.String(), "-start 1` | 4 |") {
		t.Errorf("the row does not sum up 4 seeds:\n%s", first.String())
	}
	cutOff(t, file)
	if code := run(append(args, "6"), &second, &second); code != 0 {
		t.Fatalf("run = %d, want 0:\n%s", code, second.String())
	}
	if got := second.String(); strings.Contains(got, "seeds 1 to") || !strings.Contains(got, "seeds 3 to 4") || !strings.Contains(got, "seeds 5 to 6") {
		t.Errorf("the second run went on where the first did not end:\n%s", got)
	}
	args = []string{"-ledger", file, "-steps", "200", "-start", "100", "-seeds", "20", "-mutant", "remove-sees-nothing"}
	if code := run(args, &broken, &broken); code != 1 || !strings.Contains(broken.String(), "| **failed at seed ") {
		t.Errorf("run of a mutant = %d, want 1 and a row that says so:\n%s", code, broken.String())
	}
}

// cutOff takes the end of the last line away, as a crash may.
func cutOff(t *testing.T, file string) {
	t.Helper()
	b, err := os.ReadFile(file)
	if err == nil {
		err = os.WriteFile(file, b[:len(b)-10], 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestRun(t *testing.T) {
	tests := []struct {
		name string
		args string
		code int
		want string // in the output
	}{
		{"holds", "-seeds 3 -steps 60", 0, "every oracle held"},
		{"verbose", "-v -seeds 1 -steps 20", 0, "seed 1 "},
		{"planted bug", "-mutant remove-sees-nothing -seeds 20 -steps 200", 1, "FAILED at seed"},
		{"list", "-mutants", 0, "vector-context"},
		{"unknown mutant", "-mutant x", 2, "no mutant is called"},
		{"bad flag", "-no-such-flag", 2, "not defined"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var out strings.Builder
			if code := run(strings.Fields(tt.args), &out, &out); code != tt.code {
				t.Errorf("run(%q) = %d, want %d:\n%s", tt.args, code, tt.code, out.String())
			}
			if !strings.Contains(out.String(), tt.want) {
				t.Errorf("run(%q) printed no %q:\n%s", tt.args, tt.want, out.String())
			}
		})
	}
}
