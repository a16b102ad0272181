// Command draw writes the pictures of README and CONTRIBUTING from the tables in this
// folder: go generate ./docs/draw
package main

import (
	"fmt"
	"os"
	"path/filepath"
)

//go:generate go run . ..

// pictures are the files and what they show.
func pictures() map[string]picture {
	return map[string]picture{"loop.svg": loop(), "packages.svg": packages(), "request.svg": request()}
}

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: draw FOLDER")
		os.Exit(2)
	}
	for name, p := range pictures() {
		if err := os.WriteFile(filepath.Join(os.Args[1], name), p.svg(), 0o644); err != nil {
			fmt.Fprintln(os.Stderr, "draw:", err)
			os.Exit(1)
		}
	}
}
