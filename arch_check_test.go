package joinery_test

import (
	"bytes"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
)

// A policy is what the sources of a module must obey.
type policy struct {
	module            string
	packages          map[string]rule   // by folder; a key "x/..." covers x and what is below it
	importedByNothing []string          // folders that nothing may import, tests included
	importNames       map[string]string // folder -> the name it is always imported under
	fileLines         int               // most lines of a file
	functionLines     int               // most lines of a function
}

// A rule is what one package may import besides the standard library.
type rule struct {
	imports []string // folders of this project; "x/..." covers what is below x, "..." everything
	modules []string // paths of other modules, "..." for any
	pure    bool     // no clock, socket, disk, lock, randomness, logger, goroutine
}

// A violation is one broken rule at one place.
type violation struct {
	file string
	line int
	rule string // one of the rule names below
	text string
}

const (
	ruleArrow    = "arrow"
	ruleDoc      = "doc"
	ruleModule   = "module"
	ruleName     = "name"
	rulePure     = "pure"
	ruleSize     = "size"
	ruleUnlisted = "unlisted"
)

func (v violation) String() string {
	return fmt.Sprintf("%s:%d: %s: %s", v.file, v.line, v.rule, v.text)
}

// A source is one parsed file.
type source struct {
	name   string // slash-separated, from the root
	folder string
	test   bool
	lines  int
	fset   *token.FileSet
	ast    *ast.File
}

func (s source) at(pos token.Pos, rule, format string, args ...any) violation {
	return violation{file: s.name, line: s.fset.Position(pos).Line, rule: rule, text: fmt.Sprintf(format, args...)}
}

// check parses every Go file of fsys and returns what breaks the policy, in the
// order of files. Folders that the go command ignores are skipped, and so are
// generated files.
func (p policy) check(fsys fs.FS) ([]violation, error) {
	sources, err := parseTree(fsys)
	if err != nil {
		return nil, err
	}
	if len(sources) == 0 {
		return nil, errors.New("arch: no Go file found: the policy would hold of nothing")
	}
	var found []violation
	for _, s := range sources {
		found = append(found, p.checkImports(s)...)
		found = append(found, p.checkSize(s)...)
		if s.test {
			continue
		}
		found = append(found, p.checkPurity(s)...)
		found = append(found, checkDocs(s)...)
	}
	return append(found, checkPackageDocs(sources)...), nil
}

func parseTree(fsys fs.FS) ([]source, error) {
	var sources []source
	err := fs.WalkDir(fsys, ".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && ignoredFolder(entry.Name()):
			return fs.SkipDir
		case entry.IsDir() || path.Ext(name) != ".go":
			return nil
		}
		s, err := parseSource(fsys, name)
		if err == nil && !ast.IsGenerated(s.ast) {
			sources = append(sources, s)
		}
		return err
	})
	return sources, err
}

func ignoredFolder(base string) bool {
	return base == "testdata" || base == "vendor" || base != "." && strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_")
}

func parseSource(fsys fs.FS, name string) (source, error) {
	text, err := fs.ReadFile(fsys, name)
	if err != nil {
		return source{}, err
	}
	s := source{
		name:   name,
		folder: path.Dir(name),
		test:   strings.HasSuffix(name, "_test.go"),
		lines:  bytes.Count(text, []byte("\n")),
		fset:   token.NewFileSet(),
	}
	s.ast, err = parser.ParseFile(s.fset, name, text, parser.ParseComments|parser.SkipObjectResolution)
	return s, err
}

// ruleFor returns the rule of the longest key that covers folder.
func (p policy) ruleFor(folder string) (rule, bool) {
	if r, ok := p.packages[folder]; ok {
		return r, true
	}
	longest := ""
	for key := range p.packages {
		if len(key) > len(longest) && covers(key, folder) {
			longest = key
		}
	}
	return p.packages[longest], longest != ""
}

// covers reports whether an entry such as "a/b", "a/..." or "..." includes item.
func covers(entry, item string) bool {
	if entry == "..." {
		return true
	}
	base, subtree := strings.CutSuffix(entry, "/...")
	return item == base || subtree && strings.HasPrefix(item, base+"/")
}

func (p policy) checkImports(s source) []violation {
	var found []violation
	r, listed := p.ruleFor(s.folder)
	if !listed && !s.test {
		found = append(found, s.at(s.ast.Package, ruleUnlisted, "package %s is not in the table of arrows: add it with what it may import", s.folder))
	}
	for _, spec := range s.ast.Imports {
		found = append(found, p.checkImport(s, r, s.test || !listed, spec)...)
	}
	return found
}

// checkImport checks one import; free means that no arrow is asked for.
func (p policy) checkImport(s source, r rule, free bool, spec *ast.ImportSpec) []violation {
	var found []violation
	report := func(rule, format string, args ...any) {
		found = append(found, s.at(spec.Pos(), rule, format, args...))
	}
	imported := importPath(spec)
	folder, project := p.folderOf(imported)
	if want := p.importNames[folder]; project && want != "" && (spec.Name == nil || spec.Name.Name != want) {
		report(ruleName, "%s is always imported under the name %s", imported, want)
	}
	if project && slices.Contains(p.importedByNothing, folder) {
		report(ruleArrow, "%s is imported by nothing", folder)
	}
	if free {
		return found
	}
	if project && !anyCovers(r.imports, folder) {
		report(ruleArrow, "%s may not import %s", s.folder, folder)
	}
	if !project && !standard(imported) && !anyCovers(withSubtrees(r.modules), imported) {
		report(ruleModule, "%s may not import %s", s.folder, imported)
	}
	return found
}

func importPath(spec *ast.ImportSpec) string {
	imported, err := strconv.Unquote(spec.Path.Value)
	if err != nil {
		return spec.Path.Value // the parser has checked it
	}
	return imported
}

// folderOf returns the folder of a package of this project.
func (p policy) folderOf(imported string) (string, bool) {
	if imported == p.module {
		return ".", true
	}
	return strings.CutPrefix(imported, p.module+"/")
}

func standard(imported string) bool {
	first, _, _ := strings.Cut(imported, "/")
	return !strings.Contains(first, ".")
}

func anyCovers(entries []string, item string) bool {
	return slices.ContainsFunc(entries, func(entry string) bool { return covers(entry, item) })
}

// withSubtrees makes each module cover its packages.
func withSubtrees(modules []string) []string {
	out := slices.Clone(modules)
	for _, m := range modules {
		out = append(out, m+"/...")
	}
	return out
}

func (p policy) checkSize(s source) []violation {
	var found []violation
	if s.lines > p.fileLines {
		found = append(found, s.at(s.ast.Package, ruleSize, "the file has %d lines, more than %d: split it", s.lines, p.fileLines))
	}
	for _, decl := range s.ast.Decls {
		f, ok := decl.(*ast.FuncDecl)
		if !ok {
			continue
		}
		lines := s.fset.Position(f.End()).Line - s.fset.Position(f.Pos()).Line + 1
		if lines > p.functionLines {
			found = append(found, s.at(f.Pos(), ruleSize, "%s has %d lines, more than %d: split it", f.Name.Name, lines, p.functionLines))
		}
	}
	return found
}

// impure are the standard packages that a pure package does without, with all
// that is below them.
var impure = []string{
	"crypto/rand", "database", "io/ioutil", "log", "math/rand", "net", "os", "plugin", "sync", "syscall", "testing", "unsafe",
}

// impureNames are the parts that a pure package does without of packages that it
// may import.
var impureNames = map[string][]string{
	"time": {"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "Tick", "NewTimer", "NewTicker"},
	uuidModule: {
		"New", "NewString", "NewRandom", "NewRandomFromReader", "NewUUID", "NewV6", "NewV7", "NewV7FromReader",
		"NewDCEGroup", "NewDCEPerson", "NewDCESecurity", "SetRand", "EnableRandPool",
	},
	"runtime": {"GC", "Gosched", "NumGoroutine", "NumCPU", "GOMAXPROCS"},
}

func (p policy) checkPurity(s source) []violation {
	if r, _ := p.ruleFor(s.folder); !r.pure {
		return nil
	}
	var found []violation
	for _, spec := range s.ast.Imports {
		if imported := importPath(spec); anyCovers(withSubtrees(impure), imported) {
			found = append(found, s.at(spec.Pos(), rulePure, "%s is pure and may not import %s", s.folder, imported))
		}
	}
	limited := limitedImports(s)
	ast.Inspect(s.ast, func(n ast.Node) bool {
		if what := impureNode(n, limited); what != "" {
			found = append(found, s.at(n.Pos(), rulePure, "%s is pure and may not use %s", s.folder, what))
		}
		return true
	})
	return found
}

// limitedImports maps the names under which a file knows the packages of
// impureNames to their paths.
func limitedImports(s source) map[string]string {
	limited := make(map[string]string)
	for _, spec := range s.ast.Imports {
		imported := importPath(spec)
		if _, ok := impureNames[imported]; !ok {
			continue
		}
		name := path.Base(imported)
		if spec.Name != nil {
			name = spec.Name.Name
		}
		limited[name] = imported
	}
	return limited
}

// impureNode says what is impure about n itself, or nothing.
func impureNode(n ast.Node, limited map[string]string) string {
	switch n := n.(type) {
	case *ast.GoStmt:
		return "a goroutine"
	case *ast.SelectorExpr:
		base, ok := n.X.(*ast.Ident)
		if ok && slices.Contains(impureNames[limited[base.Name]], n.Sel.Name) {
			return base.Name + "." + n.Sel.Name
		}
	}
	return ""
}
