package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestCommandsInDocs has every command of the lab that the docs show understood: its
// name, flags and number of arguments.
func TestCommandsInDocs(t *testing.T) {
	files, err := filepath.Glob("../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	shown := regexp.MustCompile(`(?m)^    go run \. ([^#\n]+)`)
	seen := 0
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range shown.FindAllStringSubmatch(string(b), -1) {
			seen++
			cmd, rest, err := newCommand().Find(strings.Fields(m[1]))
			if err == nil {
				err = cmd.ParseFlags(rest)
			}
			if err == nil {
				err = cmd.ValidateArgs(cmd.Flags().Args())
			}
			if err == nil && !cmd.Runnable() {
				t.Errorf("%s: go run . %s: no command", filepath.Base(file), m[1])
			}
			if err != nil {
				t.Errorf("%s: go run . %s: %v", filepath.Base(file), m[1], err)
			}
		}
	}
	if seen < 12 {
		t.Errorf("only %d commands were found", seen)
	}
}
