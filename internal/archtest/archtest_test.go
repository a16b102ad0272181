package archtest

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestMlloop(t *testing.T) {
	root, err := FindRoot(".")
	require.NoError(t, err)
	module, err := ModulePath(root)
	require.NoError(t, err)
	pkgs, err := Load(root, module)
	require.NoError(t, err)
	require.Greater(t, len(pkgs), 5, "the module was found")
	for _, problem := range Check(pkgs, MlloopRules()) {
		t.Error(problem)
	}
}

// tree checks a module in testdata by the rules of mlloop, with a limit of
// lines that is easy to reach.
func tree(t *testing.T, root string) []string {
	t.Helper()
	pkgs, err := Load(root, "example.com/tree")
	require.NoError(t, err)
	rules := MlloopRules()
	rules.MaxLines = 8
	return Check(pkgs, rules)
}

func TestCheckOfACleanTree(t *testing.T) {
	require.Empty(t, tree(t, "testdata/clean"))
}

// broken.txt holds, line by line, what each file of the tree was made to break.
func TestCheckFindsWhatIsBroken(t *testing.T) {
	want, err := os.ReadFile("testdata/broken.txt")
	require.NoError(t, err)
	require.Equal(t, string(want), strings.Join(tree(t, "testdata/broken"), "\n")+"\n")
}

func TestLoadErrors(t *testing.T) {
	_, err := Load("testdata/none", "example.com/tree")
	require.Error(t, err)
	_, err = ModulePath("testdata")
	require.Error(t, err)
	_, err = FindRoot("/")
	require.Error(t, err)
}
