package main

import (
	"strings"
	"testing"
)

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
