package docs_test

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/internal/archtest"
)

// required returns the modules that a go.mod requires, and whether each is
// marked as indirect.
func required(gomod string) map[string]bool {
	indirect := make(map[string]bool)
	inBlock := false
	for line := range strings.Lines(gomod) {
		code, comment, _ := strings.Cut(line, "//")
		words := strings.Fields(code)
		switch {
		case len(words) == 2 && words[0] == "require" && words[1] == "(":
			inBlock = true
			continue
		case len(words) == 1 && words[0] == ")":
			inBlock = false
		case len(words) == 3 && words[0] == "require":
			words = words[1:]
		case !inBlock:
			continue
		}
		if len(words) == 2 {
			indirect[words[0]] = strings.TrimSpace(comment) == "indirect"
		}
	}
	return indirect
}

// allowedLicences are those that a service can link without asking anybody.
func allowedLicences() []string { return []string{"Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "MIT"} }

// linkedBy are the words of the page's column of that name.
func linkedBy() []string {
	return []string{"serving", "training", "loop", "database", "workflows", "examples", "tests", "nothing"}
}

// checkDependencies returns what in the page does not agree with go.mod, one
// line each.
func checkDependencies(page, gomod string) (wrong []string) {
	indirect := required(gomod)
	seen := make(map[string]bool)
	chosen, brought, _ := strings.Cut(page, "\n## Brought by these")
	for _, section := range []struct {
		text     string
		indirect bool
	}{{chosen, false}, {brought, true}} {
		for _, row := range regexp.MustCompile("(?m)^\\| `(.*)$").FindAllStringSubmatch(section.text, -1) {
			cells := strings.Split(strings.TrimSuffix(row[1], " |"), " | ")
			module := strings.TrimSuffix(cells[0], "`")
			is, there := indirect[module]
			switch {
			case !there:
				wrong = append(wrong, fmt.Sprintf("%s is not in go.mod", module))
			case seen[module]:
				wrong = append(wrong, fmt.Sprintf("%s comes twice", module))
			case is != section.indirect:
				wrong = append(wrong, fmt.Sprintf("%s is in the wrong table: indirect is %v in go.mod", module, is))
			}
			seen[module] = true
			wrong = append(wrong, checkCells(module, cells)...)
		}
	}
	for module := range indirect {
		if !seen[module] {
			wrong = append(wrong, fmt.Sprintf("%s is missing", module))
		}
	}
	slices.Sort(wrong)
	return wrong
}

func checkCells(module string, cells []string) (wrong []string) {
	if len(cells) != 4 {
		return []string{fmt.Sprintf("%s has %d cells, want 4: module, licence, linked by, for", module, len(cells))}
	}
	for licence := range strings.SplitSeq(cells[1], " AND ") {
		if !slices.Contains(allowedLicences(), licence) {
			wrong = append(wrong, fmt.Sprintf("%s: licence %q is none of %s", module, licence, strings.Join(allowedLicences(), ", ")))
		}
	}
	if !slices.Contains(linkedBy(), cells[2]) {
		wrong = append(wrong, fmt.Sprintf("%s: linked by %q is none of %s", module, cells[2], strings.Join(linkedBy(), ", ")))
	}
	if strings.TrimSpace(cells[3]) == "" {
		wrong = append(wrong, fmt.Sprintf("%s: for what?", module))
	}
	return wrong
}

func TestDependenciesAreListed(t *testing.T) {
	require.Empty(t, checkDependencies(read(t, "docs/dependencies.md"), read(t, "go.mod")))
}

// TestDependenciesHaveAReason compares CONTRIBUTING's table with what go.mod
// requires directly.
func TestDependenciesHaveAReason(t *testing.T) {
	_, section, ok := strings.Cut(read(t, "CONTRIBUTING.md"), "\n## Dependencies\n")
	require.True(t, ok)
	section, _, _ = strings.Cut(section, "\n## ")
	for module, indirect := range required(read(t, "go.mod")) {
		if !indirect {
			require.Regexp(t, `(?m)^\|[^|]*\|[^|]*\b`+regexp.QuoteMeta(module)+`[ ,][^|]*\| \S`, section, "no reason for it in CONTRIBUTING.md")
		}
	}
}

const (
	brokenMod = "module example.com/m\n\ngo 1.26\n\nrequire example.com/alone v1.0.0\n\nrequire (\n\texample.com/a v1.0.0\n)\n\nrequire (\n" +
		"\texample.com/b v1.2.3 // indirect\n)\n\nreplace (\n\texample.com/c => ../c\n)\n"
	soundPage = "## Chosen\n| `example.com/alone` | MIT | loop | x |\n| `example.com/a` | MIT AND Apache-2.0 | serving | x |\n" +
		"\n## Brought by these\n| `example.com/b` | MIT | nothing | x |\n"
)

func TestCheckOfDependencies(t *testing.T) {
	require.Equal(t, map[string]bool{"example.com/alone": false, "example.com/a": false, "example.com/b": true}, required(brokenMod))
	require.Empty(t, checkDependencies(soundPage, brokenMod))
	for old, test := range map[string]struct{ page, want string }{
		"| `example.com/alone` | MIT | loop | x |\n": {"", "example.com/alone is missing"},
		"| `example.com/b` | MIT |":                  {"| `example.com/d` | MIT | tests | x |\n| `example.com/b` | MIT |", "example.com/d is not in go.mod"},
		"`example.com/b` | MIT":                      {"`example.com/b` | ", `example.com/b: licence "" is none of Apache-2.0, BSD-2-Clause, BSD-3-Clause, MIT`},
		"`example.com/a` | MIT AND Apache-2.0":       {"`example.com/a` | MIT AND GPL-3.0-only", `example.com/a: licence "GPL-3.0-only" is none of Apache-2.0, BSD-2-Clause, BSD-3-Clause, MIT`},
		"MIT | loop":                                 {"MIT | me", `example.com/alone: linked by "me" is none of ` + strings.Join(linkedBy(), ", ")},
		"| nothing | x |":                            {"| nothing |  |", "example.com/b: for what?"},
		"| loop | x |":                               {"| loop |", "example.com/alone has 3 cells, want 4: module, licence, linked by, for"},
		"\n## Brought by these":                      {"", "example.com/b is in the wrong table: indirect is true in go.mod"},
		"| `example.com/alone`":                      {"| `example.com/a` | MIT | loop | x |\n| `example.com/alone`", "example.com/a comes twice"},
	} {
		page := strings.Replace(soundPage, old, test.page, 1)
		require.NotEqual(t, soundPage, page)
		require.Equal(t, []string{test.want}, checkDependencies(page, brokenMod))
	}
}

// TestArrowAndGorgoniaHaveOnePlace holds what CONTRIBUTING says of what has to
// be changed when one of them breaks; tests of a package count as it.
func TestArrowAndGorgoniaHaveOnePlace(t *testing.T) {
	packages, err := archtest.Load("..", "github.com/mlloop/mlloop")
	require.NoError(t, err)
	importers := make(map[string]map[string]bool)
	for _, p := range packages {
		for _, f := range p.Files {
			for _, imported := range f.Imports {
				for _, module := range []string{"github.com/apache/arrow", "gorgonia.org", "github.com/chewxy"} {
					if strings.HasPrefix(imported, module+"/") {
						if importers[module] == nil {
							importers[module] = make(map[string]bool)
						}
						importers[module][p.Dir] = true
					}
				}
			}
		}
	}
	require.Equal(t, map[string]map[string]bool{
		"github.com/apache/arrow": {"train/frame": true},
		"gorgonia.org":            {"train/nn": true},
		"github.com/chewxy":       {"train/nn": true},
	}, importers)
}
