package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// function is one that is declared in the sources, with the names in its body
// and, for a method of an interface, none.
type function struct {
	folder, name string // name as Type.method
	mentions     map[string]bool
}

// sources are the functions and types declared in some folders of the module.
type sources struct {
	functions []function
	declared  map[string]bool // names, those of methods also without their type
}

func parse(t *testing.T, folders ...string) sources {
	t.Helper()
	s := sources{declared: make(map[string]bool)}
	for _, folder := range folders {
		files, err := filepath.Glob(filepath.Join("..", "..", folder, "*.go"))
		require.NoError(t, err)
		require.NotEmpty(t, files, folder)
		for _, path := range files {
			if strings.HasSuffix(path, "_test.go") {
				continue
			}
			text, err := os.ReadFile(path)
			require.NoError(t, err)
			s.add(t, folder, string(text))
		}
	}
	return s
}

// add parses one file.
func (s *sources) add(t *testing.T, folder, text string) {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), folder, text, parser.SkipObjectResolution)
	require.NoError(t, err)
	for _, d := range file.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			f := function{folder: folder, name: d.Name.Name, mentions: make(map[string]bool)}
			if d.Recv != nil {
				f.name = receiver(d.Recv.List[0].Type) + "." + f.name
			}
			ast.Inspect(d, func(n ast.Node) bool {
				if id, ok := n.(*ast.Ident); ok && id != d.Name {
					f.mentions[id.Name] = true
				}
				return true
			})
			s.declare(f)
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				if spec, ok := spec.(*ast.TypeSpec); ok {
					s.declare(function{folder: folder, name: spec.Name.Name})
					if i, ok := spec.Type.(*ast.InterfaceType); ok {
						for _, m := range i.Methods.List {
							for _, name := range m.Names {
								s.declare(function{folder: folder, name: spec.Name.Name + "." + name.Name})
							}
						}
					}
				}
			}
		}
	}
}

func (s *sources) declare(f function) {
	s.functions = append(s.functions, f)
	s.declared[f.name], s.declared[short(f.name)] = true, true
}

func receiver(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.StarExpr:
		return receiver(e.X)
	case *ast.Ident:
		return e.Name
	}
	return ""
}

// short is a name without its type.
func short(name string) string { return name[strings.LastIndexByte(name, '.')+1:] }

// has reports whether the folder declares the name.
func (s sources) has(folder, name string) bool {
	for _, f := range s.functions {
		if f.folder == folder && f.name == name {
			return true
		}
	}
	return false
}

// leads reports whether calls lead from one function to another in a few steps.
// It goes by names: a call of another package's function must be of an exported one.
func (s sources) leads(from, to string, steps int) bool {
	for _, f := range s.functions {
		if f.name != from {
			continue
		}
		for _, g := range s.functions {
			if !f.mentions[short(g.name)] || (f.folder != g.folder && !ast.IsExported(short(g.name))) {
				continue
			}
			if g.name == to || strings.HasPrefix(g.name, to+".") || (steps > 1 && s.leads(g.name, to, steps-1)) {
				return true
			}
		}
	}
	return false
}

// TestNamesOfTheRequest looks for what the picture names in the sources: a
// function that is renamed is renamed in the picture, too.
func TestNamesOfTheRequest(t *testing.T) {
	s := parse(t, "serve", "serve/servehttp", "drift", "registry", "retrain")
	code := regexp.MustCompile(`\b[A-Za-z]+\.[A-Za-z]+\b|\b[a-z]+[A-Z]\w*|\b[A-Z][a-z]+[A-Z]\w*`)
	found := 0
	for _, stop := range stops() {
		if stop.Package == "" {
			continue
		}
		require.True(t, s.has(stop.Package, stop.Name), "%s declares no %s", stop.Package, stop.Name)
		if stop.From != "" {
			require.True(t, s.leads(stop.From, stop.Name, 4), "no calls lead from %s to %s", stop.From, stop.Name)
		}
		for _, name := range code.FindAllString(strings.Join(stop.Does, " "), -1) {
			found++
			require.True(t, s.declared[name], "%s: %s is declared nowhere", stop.Name, name)
		}
	}
	require.Greater(t, found, 8, "names among the words")
}

func TestLookingForCalls(t *testing.T) {
	s := sources{declared: make(map[string]bool)}
	s.add(t, "a", "package a\nfunc (l *Loop) Step() { l.one() }\nfunc (l *Loop) one() { l.server.SetRoute(decide()) }\nfunc decide() {}\nfunc other() {}")
	s.add(t, "b", "package b\ntype Server interface { SetRoute() }\nfunc one() { hidden() }\nfunc hidden() {}")
	require.True(t, s.has("a", "Loop.Step"))
	require.False(t, s.has("b", "Loop.Step"))
	require.True(t, s.leads("Loop.Step", "decide", 2))
	require.True(t, s.leads("Loop.Step", "Server.SetRoute", 2))
	require.True(t, s.leads("Loop.Step", "Server", 2), "a type is reached by its methods")
	require.False(t, s.leads("Loop.Step", "decide", 1))
	require.False(t, s.leads("Loop.Step", "other", 4))
	require.False(t, s.leads("Loop.Step", "hidden", 4), "another package's own")
}

// TestPictureOfTheRequestFitsItsFrame keeps words in their boxes, as far as
// their number tells, and every arrow in the picture.
func TestPictureOfTheRequestFitsItsFrame(t *testing.T) {
	p := request()
	for _, s := range stops() {
		require.LessOrEqual(t, len(s.Name), 18, s.Name)
		require.LessOrEqual(t, len(s.Does), 2, s.Name)
		for _, line := range s.Does {
			require.LessOrEqual(t, len(line), 22, line)
		}
	}
	for _, a := range p.Arrows {
		for _, at := range a.Points {
			require.True(t, at[0] > 0 && at[0] < p.W && at[1] > 0 && at[1] < p.H, at)
		}
	}
}
