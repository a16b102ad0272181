// Package archtest enforces the import rules of mlloop's packages: which
// package may know which, and which may link a driver. Its test reads the
// sources itself, so that the result cannot be stale.
package archtest

import (
	"bytes"
	"errors"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Package is what lies in one folder.
type Package struct {
	Dir   string // relative to the module's root, slash-separated; "." for the root
	Name  string // of the package clause; that of an external test package is left out
	Files []File
}

// File is one Go file. Build constraints are not looked at: the rules hold on
// every platform.
type File struct {
	Path    string // relative to the module's root
	Test    bool   // _test.go
	Imports []string
	Lines   int
}

// FindRoot returns the folder at or above dir that holds a go.mod.
func FindRoot(dir string) (string, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		up := filepath.Dir(dir)
		if up == dir {
			return "", errors.New("archtest: no go.mod here or above")
		}
		dir = up
	}
}

var moduleLine = regexp.MustCompile(`(?m)^module\s+(\S+)`)

// ModulePath returns the path that the go.mod in root declares.
func ModulePath(root string) (string, error) {
	text, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		return "", err
	}
	m := moduleLine.FindSubmatch(text)
	if m == nil {
		return "", errors.New("archtest: go.mod names no module")
	}
	return string(m[1]), nil
}

// Load reads the packages of the module that lies in root, by folder. Imports
// within the module come out relative to its root with a leading "./"
// ("./tracking/artifact"); testdata, hidden folders and modules below are left
// out.
func Load(root, module string) ([]Package, error) {
	byDir := map[string]*Package{}
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir():
			return skipDir(root, name, d.Name())
		case !strings.HasSuffix(name, ".go"):
			return nil
		}
		rel, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		return readFile(byDir, name, filepath.ToSlash(rel), module)
	})
	if err != nil {
		return nil, err
	}
	pkgs := make([]Package, 0, len(byDir))
	for _, p := range byDir {
		pkgs = append(pkgs, *p)
	}
	slices.SortFunc(pkgs, func(a, b Package) int { return strings.Compare(a.Dir, b.Dir) })
	return pkgs, nil
}

func skipDir(root, name, base string) error {
	if name == root {
		return nil
	}
	if base == "testdata" || strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_") {
		return fs.SkipDir
	}
	if _, err := os.Stat(filepath.Join(name, "go.mod")); err == nil {
		return fs.SkipDir
	}
	return nil
}

func readFile(byDir map[string]*Package, name, rel, module string) error {
	text, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	parsed, err := parser.ParseFile(token.NewFileSet(), rel, text, parser.ImportsOnly)
	if err != nil {
		return err
	}
	file := File{Path: rel, Test: strings.HasSuffix(rel, "_test.go"), Lines: bytes.Count(text, []byte("\n"))}
	for _, spec := range parsed.Imports {
		imported, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return err
		}
		if below, ok := strings.CutPrefix(imported, module+"/"); ok {
			imported = own(below)
		} else if imported == module {
			imported = own(".")
		}
		file.Imports = append(file.Imports, imported)
	}
	dir := path.Dir(rel)
	p := byDir[dir]
	if p == nil {
		p = &Package{Dir: dir}
		byDir[dir] = p
	}
	p.Files = append(p.Files, file)
	if !file.Test || p.Name == "" {
		p.Name = strings.TrimSuffix(parsed.Name.Name, "_test")
	}
	return nil
}

// own marks an import of the module itself; isOwn takes the mark off.
func own(dir string) string { return "./" + dir }

func isOwn(imported string) (dir string, ok bool) { return strings.CutPrefix(imported, "./") }
