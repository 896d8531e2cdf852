package architecture

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// minDoc is the length of the shortest paragraph that explains a package.
const minDoc = 80

func TestEveryPackageIsExplained(t *testing.T) {
	for _, p := range list(t, "linux") {
		doc := packageDoc(t, p)
		if len(doc) < minDoc {
			t.Errorf("%s: its package comment is no paragraph that a newcomer would thank you for: %q", short(p.ImportPath), doc)
		}
	}
}

func packageDoc(t *testing.T, p pkg) string {
	t.Helper()
	for _, name := range p.GoFiles {
		f := parse(t, filepath.Join(p.Dir, name))
		if f.Doc != nil {
			return f.Doc.Text()
		}
	}
	return p.Doc
}

// maxLines is what fits a screen: a longer function has an unnamed idea inside.
const maxLines = 80

func TestNoFunctionNeedsScrolling(t *testing.T) {
	eachFile(t, func(name string, fset *token.FileSet, f *ast.File) {
		for _, d := range f.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok || fn.Body == nil {
				continue
			}
			if n := fset.Position(fn.End()).Line - fset.Position(fn.Pos()).Line + 1; n > maxLines {
				t.Errorf("%s: %s has %d lines, more than %d", name, fn.Name.Name, n, maxLines)
			}
		}
	})
}

func TestExportedNamesAreExplained(t *testing.T) {
	eachFile(t, func(name string, _ *token.FileSet, f *ast.File) {
		if strings.HasSuffix(name, "_test.go") {
			return
		}
		for _, d := range f.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				if d.Name.IsExported() && exportedReceiver(d) && d.Doc == nil {
					t.Errorf("%s: %s has no comment", name, d.Name.Name)
				}
			case *ast.GenDecl:
				checkSpecs(t, name, d)
			}
		}
	})
}

func checkSpecs(t *testing.T, file string, d *ast.GenDecl) {
	t.Helper()
	for _, s := range d.Specs {
		switch s := s.(type) {
		case *ast.TypeSpec:
			if s.Name.IsExported() && d.Doc == nil && s.Doc == nil {
				t.Errorf("%s: %s has no comment", file, s.Name.Name)
			}
		case *ast.ValueSpec:
			for _, n := range s.Names {
				if n.IsExported() && d.Doc == nil && s.Doc == nil && s.Comment == nil {
					t.Errorf("%s: %s has no comment", file, n.Name)
				}
			}
		}
	}
}

// exportedReceiver says whether a function is one, or a method of an exported type that is not there for an interface alone.
func exportedReceiver(d *ast.FuncDecl) bool {
	if d.Recv == nil {
		return true
	}
	typ := d.Recv.List[0].Type
	if star, ok := typ.(*ast.StarExpr); ok {
		typ = star.X
	}
	id, ok := typ.(*ast.Ident)
	wellKnown := d.Name.Name == "Error" || d.Name.Name == "Unwrap" || d.Name.Name == "String"
	return ok && id.IsExported() && !wellKnown
}

func eachFile(t *testing.T, do func(name string, fset *token.FileSet, f *ast.File)) {
	t.Helper()
	for _, dir := range []string{"cmd", "internal", "scripts"} {
		err := filepath.WalkDir(filepath.Join(root, dir), func(path string, d os.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.Contains(path, "testdata") {
				return err
			}
			fset := token.NewFileSet()
			f, err := parser.ParseFile(fset, path, nil, parser.ParseComments)
			if err != nil {
				return err
			}
			do(path, fset, f)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

func parse(t *testing.T, path string) *ast.File {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	return f
}
