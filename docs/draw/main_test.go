package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/internal/archtest"
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

// TestWhatIsUsedOfTrain compares the words beside the arrows with the imports.
func TestWhatIsUsedOfTrain(t *testing.T) {
	packages, err := archtest.Load("../..", "github.com/mlloop/mlloop")
	require.NoError(t, err)
	for i, domain := range []string{"serve", "drift"} {
		drawn := strings.Split(strings.TrimPrefix(used("train")[i], "of it only "), ", ")
		var imported []string
		for _, p := range packages {
			if p.Dir != domain && !strings.HasPrefix(p.Dir, domain+"/") {
				continue
			}
			for _, f := range p.Files {
				for _, path := range f.Imports {
					if name, ok := strings.CutPrefix(path, "./train/"); ok && !f.Test && !strings.HasSuffix(p.Dir, "test") {
						imported = append(imported, name)
					}
				}
			}
		}
		slices.Sort(imported)
		slices.Sort(drawn)
		require.Equal(t, slices.Compact(imported), drawn, domain)
	}
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
