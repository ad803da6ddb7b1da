// Command typecheck demands that a module has no type errors on platforms, in its
// own packages and in all that they import. It reads sources and generates no code,
// so it takes a tenth of the time of building for them.
//
//	cd tools && go run ./typecheck -dir .. linux/arm64 windows/arm64
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// listed is what go list says of a package.
type listed struct {
	ImportPath, Dir string
	GoFiles         []string
	ImportMap       map[string]string
	Standard        bool
	Module          *struct {
		Main      bool
		GoVersion string
	}
}

func main() {
	dir := flag.String("dir", ".", "where the module is")
	flag.Parse()
	c := checker{fset: token.NewFileSet(), parsed: make(map[string]*ast.File)}
	for _, platform := range flag.Args() {
		n, err := c.check(*dir, platform)
		if err != nil {
			fmt.Fprintf(os.Stderr, "typecheck %s: %v\n", platform, err)
			os.Exit(1)
		}
		fmt.Printf("typecheck %s: %d packages\n", platform, n)
	}
}

// checker checks platforms. They share most files.
type checker struct {
	fset   *token.FileSet
	parsed map[string]*ast.File
}

// check returns the number of packages of a platform, which it has checked.
func (c *checker) check(dir, platform string) (n int, err error) {
	goos, goarch, ok := strings.Cut(platform, "/")
	if !ok {
		return 0, errors.New("not OS/ARCH")
	}
	packages, err := list(dir, goos, goarch)
	if err != nil {
		return 0, err
	}
	done := map[string]*types.Package{"unsafe": types.Unsafe}
	for _, p := range packages { // dependencies come first
		if p.ImportPath == "unsafe" {
			continue
		}
		if done[p.ImportPath], err = c.one(&p, done, goarch); err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}

// list returns the packages of the module in dir and all that they import.
func list(dir, goos, goarch string) (packages []listed, err error) {
	cmd := exec.Command("go", "list", "-deps", "-json=ImportPath,Dir,GoFiles,ImportMap,Standard,Module", "./...")
	cmd.Dir, cmd.Stderr = dir, os.Stderr
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS="+goos, "GOARCH="+goarch)
	out, err := cmd.Output()
	if err != nil {
		return nil, err
	}
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		switch err := d.Decode(&p); {
		case errors.Is(err, io.EOF):
			return packages, nil
		case err != nil:
			return nil, err
		}
		packages = append(packages, p)
	}
}

// one checks a package: whole if it is the module's own, and otherwise what others
// see of it.
func (c *checker) one(p *listed, done map[string]*types.Package, goarch string) (*types.Package, error) {
	own := p.Module != nil && p.Module.Main
	var files []*ast.File
	for _, name := range p.GoFiles {
		f, err := c.parse(filepath.Join(p.Dir, name), own)
		if err != nil {
			return nil, err
		}
		files = append(files, f)
	}
	var found []error
	config := types.Config{
		IgnoreFuncBodies: !own,
		Sizes:            types.SizesFor("gc", goarch),
		Error:            func(err error) { found = append(found, err) },
		Importer: importer(func(path string) (*types.Package, error) {
			if mapped, ok := p.ImportMap[path]; ok {
				path = mapped
			}
			if done[path] == nil {
				return nil, fmt.Errorf("%s is not listed", path)
			}
			return done[path], nil
		}),
	}
	if p.Module != nil && p.Module.GoVersion != "" {
		config.GoVersion = "go" + p.Module.GoVersion
	}
	pkg, _ := config.Check(p.ImportPath, c.fset, files, nil)
	return pkg, errors.Join(found...)
}

func (c *checker) parse(path string, own bool) (*ast.File, error) {
	if f, ok := c.parsed[path]; ok {
		return f, nil
	}
	f, err := parser.ParseFile(c.fset, path, nil, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	if !own { // nobody looks into it
		for _, d := range f.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Body != nil {
				fn.Body = &ast.BlockStmt{Lbrace: fn.Body.Lbrace, Rbrace: fn.Body.Rbrace}
			}
		}
	}
	c.parsed[path] = f
	return f, nil
}

type importer func(path string) (*types.Package, error)

func (i importer) Import(path string) (*types.Package, error) { return i(path) }
