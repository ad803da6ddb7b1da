package property_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/joinery-crdt/joinery/crdt"
	"github.com/joinery-crdt/joinery/crdt/crdttest"
)

var update = flag.Bool("update", false, "rewrite docs/types.md")

const (
	matrixFile = "../docs/types.md"
	matrixHead = `# What is checked of each type

Written by TestMatrix in property_test, which fails while a cell is empty, or this page is out of date (` + "`go test ./property_test -run TestMatrix -update`" + `).
A cell names what was run or found; a number is how many random histories the test itself played. TestTypes plays more.

`
)

// A column is what there must be evidence of.
type column struct {
	title string
	// evidence returns what a cell says, nothing if there is no evidence, and
	// an error if the evidence speaks against the type.
	evidence func(replicated) (string, error)
}

// Every type in every form, with evidence.
func TestMatrix(t *testing.T) {
	columns := columns(t)
	table := [][]string{{"type", "kind"}, {"---", "---"}}
	for _, c := range columns {
		table[0], table[1] = append(table[0], c.title), append(table[1], "---")
	}
	for _, typ := range types() {
		row := []string{typ.name, strings.Join(typ.kinds, ", ")}
		for _, c := range columns {
			cell, err := c.evidence(typ)
			if err != nil || cell == "" {
				t.Errorf("%s: no evidence of %s: %v", typ.name, c.title, err)
			}
			row = append(row, cell)
		}
		table = append(table, row)
	}
	compareFile(t, matrixFile, matrixHead+render(table))
}

func columns(t *testing.T) []column {
	tests, specs := functions(t, "_test.go"), functions(t, ".go")
	return []column{
		{"state", played(func(typ replicated) run { return with(typ.state, crdttest.Encoded) })},
		{"delta", played(func(typ replicated) run { return with(typ.state, crdttest.Unordered) })},
		{"operation", played(func(typ replicated) run { return typ.operations })},
		{"cells", played(func(typ replicated) run { return with(typ.cells, crdttest.Unordered) })},
		{"nested", played(func(typ replicated) run { return typ.nested })},
		{"laws", played(func(typ replicated) run { return with(typ.state, crdttest.Lawful) })},
		{"specification", func(typ replicated) (string, error) {
			if _, err := played(func(typ replicated) run { return typ.together })(typ); err != nil {
				return "", err
			}
			return declared(specs, "crdt/crdttest", typ.name+"Spec"), nil
		}},
		{"fuzz", func(typ replicated) (string, error) { return declared(tests, "crdt", "Fuzz"+typ.name), nil }},
		{"Example", func(typ replicated) (string, error) { return declared(tests, "crdt", "Example"+typ.name), nil }},
		{"planted bugs", func(typ replicated) (string, error) { return nonzero(len(plants[typ.name])), nil }},
	}
}

type run = func(crdttest.Program) error

// played returns the evidence of programs that were run.
func played(form func(replicated) run) func(replicated) (string, error) {
	return func(typ replicated) (string, error) {
		run := form(typ)
		if run == nil {
			return "", nil
		}
		const programs = 7 // of lengths that bring up every number of deltas
		for seed := range uint64(programs) {
			if err := run(crdttest.Random(rand.New(rand.NewPCG(seed, 0)), 2*programs+int(seed))); err != nil {
				return "", err
			}
		}
		return nonzero(programs), nil
	}
}

func nonzero(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprint(n)
}

// declared returns the name of a function if the folder declares it.
func declared(functions map[string][]string, folder, name string) string {
	if slices.Contains(functions[name], folder) {
		return name
	}
	return ""
}

func render(table [][]string) string {
	var b strings.Builder
	for _, row := range table {
		fmt.Fprintf(&b, "| %s |\n", strings.Join(row, " | "))
	}
	return b.String()
}

// compareFile demands that a file has the content, or writes it.
func compareFile(t *testing.T, name, want string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(name, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("%s is out of date: run this test with -update", name)
	}
}

// Every kind that ships is a type of the table.
func TestEveryKindIsATypeOfTheTable(t *testing.T) {
	var listed []string
	for _, typ := range types() {
		listed = append(listed, typ.kinds...)
	}
	slices.Sort(listed)
	if got, want := listed, crdt.Builtin().Names(); !slices.Equal(got, want) {
		t.Errorf("the table has the kinds %v, crdt.Builtin %v", got, want)
	}
}
