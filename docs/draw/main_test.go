package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestCommittedPicturesAreTheGeneratorsOutput(t *testing.T) {
	for name, p := range pictures() {
		committed, err := os.ReadFile(filepath.Join("..", name))
		require.NoError(t, err)
		require.Equal(t, string(p.svg()), string(committed), "docs/%s is stale: go generate ./docs/draw", name)
	}
}

// TestEveryPackageIsInThePicture compares it with the folders themselves.
func TestEveryPackageIsInThePicture(t *testing.T) {
	var drawn, found []string
	for _, layer := range layers() {
		for _, d := range layer {
			drawn = append(append(drawn, d.Name), d.Parts...)
			sources, err := fs.Glob(os.DirFS("../.."), d.Name+"/*.go")
			require.NoError(t, err)
			require.NotEmpty(t, sources, d.Name)
			found = append(found, packagesBelow(t, filepath.Join("..", "..", d.Name))...)
		}
	}
	slices.Sort(drawn)
	slices.Sort(found)
	require.Equal(t, found, drawn, "the packages and the names in the picture differ: see packages.go")
}

// packagesBelow returns the names of the folders with Go sources that are not
// only tests, the root's included.
func packagesBelow(t *testing.T, root string) []string {
	t.Helper()
	var names []string
	require.NoError(t, filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case e.IsDir() && e.Name() == "testdata":
			return fs.SkipDir
		case strings.HasSuffix(path, ".go") && !strings.HasSuffix(path, "_test.go"):
			names = append(names, filepath.Base(filepath.Dir(path)))
		}
		return nil
	}))
	slices.Sort(names)
	return slices.Compact(names)
}
