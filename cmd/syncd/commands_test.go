package main_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// advice matches a command that a text tells people to run: it follows a colon.
var advice = regexp.MustCompile(`: (syncd(?: [a-z]+)+)`)

// usage matches the command that a help text is of.
var usage = regexp.MustCompile(`Usage:\n  (syncd(?: [a-z]+)*)`)

// advised adds the commands that texts in the Go files of a folder advise, each
// with a file that does.
func advised(t *testing.T, folder string, found map[string]string) {
	t.Helper()
	err := filepath.WalkDir(filepath.Join(root, folder), func(name string, _ fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(name) != ".go" || strings.HasSuffix(name, "_test.go") {
			return err
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		ast.Inspect(f, func(n ast.Node) bool {
			if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
				text, _ := strconv.Unquote(lit.Value)
				for _, m := range advice.FindAllStringSubmatch(text, -1) {
					found[m[1]] = name
				}
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestAdvisedCommandsExist: what a status or an error says to run can be run.
func TestAdvisedCommandsExist(t *testing.T) {
	found := make(map[string]string)
	advised(t, "sync", found)
	if found["syncd quarantine list"] == "" || found["syncd devices retire"] == "" {
		t.Errorf("the texts of sync advise only %q", found)
	}
	advised(t, "cmd/syncd", found)
	for command, file := range found {
		help := ok(t, append(strings.Fields(command)[1:], "--help")...)
		runs := usage.FindStringSubmatch(help)[1]
		if takesMore := !strings.Contains(help, "Available Commands:"); runs != command && !(takesMore && strings.HasPrefix(command, runs+" ")) {
			t.Errorf("%s advises %q, which runs %q", file, command, runs)
		}
	}
}
