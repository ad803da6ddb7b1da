package joinery_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"strings"
	"testing"
	"testing/fstest"
)

// named lists scenarios from published bugs of other systems, and the packages
// in which a test is called after each.
var named = map[string][]string{
	// identity
	"RestoreFromBackup": list("sync/node"),
	"ClonedDataDir":     list("sync/node"),
	"CrashBeforeFsync":  list("sync/node"),
	"SameTickIds":       list("hlc", "sync/node"),
	"Doomstone":         list("property_test", "sync/node"),
	"RestartSlot":       list("crdt", "sync/node"),
	"ShutdownFlush":     list("sync/node"),

	// sets and deltas
	"PresentButRemoved":             list("merge", "crdt"),
	"NoDotsLeft":                    list("merge", "crdt"),
	"IdenticalElementDifferentDots": list("merge", "crdt"),
	"RemoveOnlyObserved":            list("merge", "crdt"),
	"DeferredRemove":                list("merge", "crdt"),
	"HoleSwallowed":                 list("merge", "crdt"),
	"RemoveDeltaPollutesVV":         list("merge", "crdt"),
	"PermuteDuplicate":              list("merge", "crdt"),
	"AckThenCrash":                  list("sync/node"),
	"TwoPhaseReAdd":                 list("crdt"),
	"PutPutDelete":                  list("crdt"),
	"LostRemoveIsRepaired":          list("crdt", "sync"),
	"ReAddGrowth":                   list("merge", "crdt"),

	// garbage
	"GCOfflineReturn":       list("sync/node"),
	"SnapshotKeepsRemovals": list("sync/node"),
	"BlockedByNamed":        list("crdt/op", "sync/node"),

	// clocks
	"ReceiveEqual":   list("hlc"),
	"RestartStale":   list("hlc"),
	"PoisonFuture":   list("hlc", "sync/node"),
	"CounterExhaust": list("hlc"),

	// hostile peers and failing disks
	"Equivocate":        list("sync/node"),
	"FalseDeps":         list("sync", "sync/node"),
	"FarSeq":            list("crdt/op", "sync", "sync/node"),
	"DecoderBombs":      list("sync/wire"),
	"EverySyscallCrash": list("store/boltstore"),
	"TornTail":          list("store/boltstore"),
	"FsyncError":        list("store/boltstore"),
	"DirFsync":          list("store/boltstore"),
	"ENOSPC":            list("store/boltstore"),
	"BitFlip":           list("store/boltstore"),

	// synchronisation
	"SkippedByCommitOrder": list("store/pgstore"),
	"CursorBeforeData":     list("sync/node"),
	"SlowReader":           list("sync/node"),
	"ReconnectStorm":       list("sync/node"),
	"TokenExpiry":          list("sync/node"),
	"PoisonChange":         list("sync/node"),
	"RestoredHub":          list("sync/node"),
}

// TestNamedScenarios demands a test of each name in each of its packages. It
// reads the sources, since a test can be deleted and nobody asks it.
func TestNamedScenarios(t *testing.T) {
	missing, err := lacking(os.DirFS("."), named)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range missing {
		t.Errorf("there is no %s", test)
	}
}

// lacking returns the tests that are not there, as package.TestName.
func lacking(root fs.FS, named map[string][]string) (missing []string, err error) {
	declared := make(map[string]map[string]bool) // by folder
	for name, folders := range named {
		for _, folder := range folders {
			if declared[folder] == nil {
				if declared[folder], err = testsIn(root, folder); err != nil {
					return nil, err
				}
			}
			if !declared[folder]["Test"+name] {
				missing = append(missing, folder+".Test"+name)
			}
		}
	}
	return missing, nil
}

// testsIn returns the names of the functions that test the package in a folder.
func testsIn(root fs.FS, folder string) (map[string]bool, error) {
	entries, err := fs.ReadDir(root, folder)
	if err != nil {
		return nil, err
	}
	names := make(map[string]bool)
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), "_test.go") {
			continue
		}
		text, err := fs.ReadFile(root, path.Join(folder, e.Name()))
		if err != nil {
			return nil, err
		}
		file, err := parser.ParseFile(token.NewFileSet(), e.Name(), text, parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		for _, decl := range file.Decls {
			if f, ok := decl.(*ast.FuncDecl); ok && f.Recv == nil {
				names[f.Name.Name] = true
			}
		}
	}
	return names, nil
}

// TestMissingScenarioIsNoticed looks for what is a comment, a method, in another
// package or no test.
func TestMissingScenarioIsNoticed(t *testing.T) {
	file := func(text string) *fstest.MapFile { return &fstest.MapFile{Data: []byte("package x\n" + text)} }
	root := fstest.MapFS{
		"a/a_test.go": file("func TestHere(t *testing.T) {}\n// func TestRemark(t *testing.T) {}\nfunc (x) TestMethod() {}\n"),
		"a/a.go":      file("func TestCode() {}\n"),
		"b/b_test.go": file("func TestThere(t *testing.T) {}\n"),
	}
	for name, want := range map[string]bool{"Here": true, "Remark": false, "Method": false, "Code": false, "There": false} {
		missing, err := lacking(root, map[string][]string{name: list("a")})
		if err != nil || (len(missing) == 0) != want {
			t.Errorf("%s: missing %v, %v; want found: %v", name, missing, err, want)
		}
	}
}
