package archtest

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// Check returns what in the packages breaks the rules, one line each, sorted.
func Check(pkgs []Package, rules Rules) []string {
	c := checker{rules: rules, byDir: map[string]Package{}}
	for _, p := range pkgs {
		c.byDir[p.Dir] = p
	}
	for _, p := range pkgs {
		c.names(p)
		c.lengths(p)
		c.direction(p)
		c.drivers(p)
		c.bans(p)
	}
	c.uniqueNames(pkgs)
	slices.Sort(c.found)
	return slices.Compact(c.found)
}

type checker struct {
	rules Rules
	byDir map[string]Package
	found []string
}

func (c *checker) report(format string, args ...any) {
	c.found = append(c.found, fmt.Sprintf(format, args...))
}

// matches reports whether the folder is one that the pattern means: the
// pattern itself, below it for /..., any for ..., and by the package's name
// for *suffix.
func matches(pattern, dir string) bool {
	if pattern == "..." {
		return true
	}
	if suffix, ok := strings.CutPrefix(pattern, "*"); ok {
		return strings.HasSuffix(path.Base(dir), suffix)
	}
	if above, ok := strings.CutSuffix(pattern, "/..."); ok {
		return dir == above || strings.HasPrefix(dir, above+"/")
	}
	return dir == pattern
}

func matchesAny(patterns []string, dir string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool { return matches(p, dir) })
}

// isRole reports whether the folder is a role package: its parent's name and a
// suffix.
func (c *checker) isRole(dir string) bool {
	suffix, ok := strings.CutPrefix(path.Base(dir), path.Base(path.Dir(dir)))
	return ok && slices.Contains(c.rules.RoleSuffixes, suffix)
}

func (c *checker) layer(dir string) (Layer, bool) {
	i := slices.IndexFunc(c.rules.Layers, func(l Layer) bool { return matchesAny(l.Packages, dir) })
	if i < 0 {
		return Layer{}, false
	}
	return c.rules.Layers[i], true
}

// code yields the files that are no tests, with each of their imports.
func code(p Package, use func(f File, imported string)) {
	for _, f := range p.Files {
		for _, imported := range f.Imports {
			if !f.Test {
				use(f, imported)
			}
		}
	}
}

func (c *checker) direction(p Package) {
	layer, known := c.layer(p.Dir)
	code(p, func(f File, imported string) {
		dir, ok := isOwn(imported)
		switch {
		case !ok:
		case !known:
			c.report("%s: imports %s, but the rules do not know %s", f.Path, dir, p.Dir)
		case !matchesAny(layer.May, dir):
			c.report("%s: imports %s; %s may import %s", f.Path, dir, layer.Packages[0], strings.Join(layer.May, ", "))
		case matches("examples/...", dir) && !matches("examples/...", p.Dir):
			c.report("%s: imports %s: nothing imports an example", f.Path, dir)
		case c.isRole(dir) && !c.isRole(p.Dir) && !layer.Roles:
			c.report("%s: imports %s: a domain package imports no role package", f.Path, dir)
		}
	})
}

// underModule reports whether an import path is a module's, or below it.
func underModule(imported string, modules []string) bool {
	return slices.ContainsFunc(modules, func(m string) bool {
		return imported == m || strings.HasPrefix(imported, m+"/")
	})
}

func (c *checker) drivers(p Package) {
	code(p, func(f File, imported string) {
		for _, d := range c.rules.Drivers {
			if underModule(imported, d.Modules) && !matchesAny(d.By, p.Dir) {
				c.report("%s: imports %s; only %s may", f.Path, imported, strings.Join(d.By, ", "))
			}
		}
	})
}

func (c *checker) bans(p Package) {
	for _, ban := range c.rules.Bans {
		if !matchesAny(ban.Packages, p.Dir) || c.isRole(p.Dir) && !ban.Roles || c.anything(p.Dir) {
			continue
		}
		modules := slices.DeleteFunc(slices.Clone(ban.Modules), func(m string) bool { return c.wraps(p.Dir, m) })
		if way := c.wayTo(p.Dir, modules, map[string]bool{}); way != nil {
			c.report("%s: links %s: %s", p.Dir, strings.Join(way, " → "), ban.Why)
		}
	}
}

// wraps reports whether the folder is there to wrap the module.
func (c *checker) wraps(dir, module string) bool {
	return slices.ContainsFunc(c.rules.Drivers, func(d Driver) bool {
		return slices.Contains(d.Modules, module) && slices.Contains(d.By, dir)
	})
}

// anything reports whether the folder's layer may import anything.
func (c *checker) anything(dir string) bool {
	layer, ok := c.layer(dir)
	return ok && slices.Contains(layer.May, "...")
}

// wayTo returns the imports that lead from dir to one of the modules, or nil.
func (c *checker) wayTo(dir string, modules []string, seen map[string]bool) (way []string) {
	if seen[dir] {
		return nil
	}
	seen[dir] = true
	code(c.byDir[dir], func(_ File, imported string) {
		if way != nil {
			return
		}
		below, ok := isOwn(imported)
		switch {
		case underModule(imported, modules):
			way = []string{imported}
		case ok:
			if rest := c.wayTo(below, modules, seen); rest != nil {
				way = append([]string{below}, rest...)
			}
		}
	})
	return way
}

func (c *checker) names(p Package) {
	base := path.Base(p.Dir)
	for _, name := range []string{p.Name, base} {
		if slices.Contains(c.rules.BadNames, name) {
			c.report("%s: a package named %s says nothing: name it by what it provides", p.Dir, name)
		}
	}
	if p.Dir != "." && p.Name != "main" && p.Name != base {
		c.report("%s: package %s does not have its folder's name", p.Dir, p.Name)
	}
	parent := path.Base(path.Dir(p.Dir))
	isRoleOf := func(suffix string) bool { return strings.HasSuffix(base, suffix) }
	if parent != "." && parent != "internal" && p.Name != "main" && !strings.HasPrefix(base, parent) &&
		slices.ContainsFunc(c.rules.RoleSuffixes, isRoleOf) {
		c.report("%s: a role package begins with its parent's name: %s…", p.Dir, parent)
	}
}

func (c *checker) uniqueNames(pkgs []Package) {
	first := map[string]string{}
	for _, p := range pkgs {
		if p.Name == "main" {
			continue
		}
		if other, ok := first[p.Name]; ok {
			c.report("%s: package %s is also the name of %s", p.Dir, p.Name, other)
			continue
		}
		first[p.Name] = p.Dir
	}
}

func (c *checker) lengths(p Package) {
	for _, f := range p.Files {
		if !f.Test && f.Lines > c.rules.MaxLines {
			c.report("%s: %d lines, at most %d: split it by noun", f.Path, f.Lines, c.rules.MaxLines)
		}
	}
}
