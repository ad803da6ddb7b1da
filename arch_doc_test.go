package joinery_test

import (
	"go/ast"
	"go/token"
)

// checkDocs demands a comment on every exported name of a file that is not a
// test: types, functions, methods of exported types, methods of interfaces,
// constants and variables. A comment on a group counts for its members.
func checkDocs(s source) []violation {
	var found []violation
	for _, name := range undocumented(s.ast) {
		found = append(found, s.at(name.Pos(), ruleDoc, "%s is exported and has no doc comment", name.Name))
	}
	return found
}

func undocumented(file *ast.File) []*ast.Ident {
	var names []*ast.Ident
	for _, decl := range file.Decls {
		switch decl := decl.(type) {
		case *ast.FuncDecl:
			if decl.Doc == nil && decl.Name.IsExported() && exportedReceiver(decl) {
				names = append(names, decl.Name)
			}
		case *ast.GenDecl:
			names = append(names, undocumentedSpecs(decl)...)
		}
	}
	return names
}

// exportedReceiver reports whether f is a function or a method of an exported type.
func exportedReceiver(f *ast.FuncDecl) bool {
	if f.Recv == nil || len(f.Recv.List) == 0 {
		return true
	}
	t := f.Recv.List[0].Type
	for {
		switch inner := t.(type) {
		case *ast.StarExpr:
			t = inner.X
		case *ast.IndexExpr:
			t = inner.X
		case *ast.IndexListExpr:
			t = inner.X
		case *ast.Ident:
			return inner.IsExported()
		default:
			return true
		}
	}
}

func undocumentedSpecs(decl *ast.GenDecl) []*ast.Ident {
	var names []*ast.Ident
	for _, spec := range decl.Specs {
		switch spec := spec.(type) {
		case *ast.TypeSpec:
			if spec.Name.IsExported() && decl.Doc == nil && spec.Doc == nil {
				names = append(names, spec.Name)
			}
			names = append(names, undocumentedMethods(spec)...)
		case *ast.ValueSpec:
			if decl.Doc == nil && spec.Doc == nil && spec.Comment == nil {
				names = append(names, exported(spec.Names)...)
			}
		}
	}
	return names
}

func undocumentedMethods(spec *ast.TypeSpec) []*ast.Ident {
	i, ok := spec.Type.(*ast.InterfaceType)
	if !ok || !spec.Name.IsExported() {
		return nil
	}
	var names []*ast.Ident
	for _, method := range i.Methods.List {
		if method.Doc == nil && method.Comment == nil {
			names = append(names, exported(method.Names)...)
		}
	}
	return names
}

func exported(names []*ast.Ident) []*ast.Ident {
	var out []*ast.Ident
	for _, name := range names {
		if name.IsExported() {
			out = append(out, name)
		}
	}
	return out
}

// checkPackageDocs demands a package comment in one file of each package.
func checkPackageDocs(sources []source) []violation {
	first := make(map[string]source)
	documented := make(map[string]bool)
	var folders []string
	for _, s := range sources {
		if s.test {
			continue
		}
		if _, seen := first[s.folder]; !seen {
			first[s.folder] = s
			folders = append(folders, s.folder)
		}
		documented[s.folder] = documented[s.folder] || s.ast.Doc != nil
	}
	var found []violation
	for _, folder := range folders {
		if s := first[folder]; !documented[folder] {
			found = append(found, s.at(token.Pos(s.ast.FileStart), ruleDoc, "package %s has no package comment", folder))
		}
	}
	return found
}
