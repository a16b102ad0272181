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
	root := filepath.Join("..", "..")
	var drawn, found []string
	for _, layer := range layers() {
		for _, d := range layer {
			drawn = append(append(drawn, d.Name), d.Parts...)
			require.NoError(t, filepath.WalkDir(filepath.Join(root, d.Name), func(path string, e fs.DirEntry, err error) error {
				switch {
				case err != nil:
					return err
				case e.IsDir() && (e.Name() == "testdata" || strings.HasPrefix(e.Name(), ".")):
					return fs.SkipDir
				case !e.IsDir() && e.Name() == "doc.go":
					found = append(found, filepath.Base(filepath.Dir(path)))
				}
				return nil
			}))
		}
	}
	slices.Sort(drawn)
	slices.Sort(found)
	require.Equal(t, found, drawn, "the folders with a doc.go and the picture's names differ: see packages.go")
}
