package property_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"testing"
)

// functions returns the folders, from the root of the module, in which a
// function of that name is declared at the top of a file whose name ends in
// suffix. It reads the sources, since a test can be deleted and nobody asks it.
func functions(t *testing.T, suffix string) map[string][]string {
	t.Helper()
	in := map[string][]string{}
	root := os.DirFS("..")
	err := fs.WalkDir(root, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(name, suffix) {
			return err
		}
		text, err := fs.ReadFile(root, name)
		if err != nil {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, text, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		for _, decl := range file.Decls {
			if f, ok := decl.(*ast.FuncDecl); ok && f.Recv == nil && !slices.Contains(in[f.Name.Name], path.Dir(name)) {
				in[f.Name.Name] = append(in[f.Name.Name], path.Dir(name))
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return in
}

// The scenarios from published bugs of other systems that concern types and
// their clocks, each a test of that name.
func TestNamedScenariosExist(t *testing.T) {
	tests := functions(t, "_test.go")
	for _, name := range []string{
		// sets and deltas
		"PresentButRemoved", "NoDotsLeft", "IdenticalElementDifferentDots", "RemoveOnlyObserved", "DeferredRemove", "HoleSwallowed",
		"RemoveDeltaPollutesVV", "PermuteDuplicate", "TwoPhaseReAdd", "PutPutDelete", "LostRemoveIsRepaired", "ReAddGrowth",
		// maps, counters, registers
		"ResetRemove", "TombstoneRemove", "SameDotTwoFields", "CounterResetReAdd", "NestedCounter",
		"DuplicateIncrement", "CounterOverflow", "LWWTie", "BackwardClock", "LWWByWriteCount",
		// identity
		"RestartSlot", "Doomstone", "SameTickIds", "RestoreFromBackup", "ClonedDataDir",
		// clocks
		"ReceiveEqual", "RestartStale", "PoisonFuture", "CounterExhaust",
	} {
		if len(tests["Test"+name]) == 0 {
			t.Errorf("no test is called Test%s", name)
		}
	}
}
