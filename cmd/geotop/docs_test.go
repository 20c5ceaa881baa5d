package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

var (
	recipe  = regexp.MustCompile("(?s)(?:<!-- exits (\\d+) -->\n)?```sh\n(.*?)```")
	command = regexp.MustCompile(`(?m)^(?: {4}|\$ |\t)(geotop .*)$`)
)

// TestRecipes runs each recipe of docs/recipes.md as it stands there, on the demo.
func TestRecipes(t *testing.T) {
	bin := t.TempDir()
	build := exec.Command("go", "build", "-o", filepath.Join(bin, "real"), ".")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for name, script := range map[string]string{
		"geotop": "exec " + filepath.Join(bin, "real") + ` "$@" --demo`,
		"mail":   `printf '%s\n' "$@" >"$HOME/mailed"; cat >>"$HOME/mailed"`,
	} {
		if err := os.WriteFile(filepath.Join(bin, name), []byte("#!/bin/sh\n"+script+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	b, err := os.ReadFile("../../docs/recipes.md")
	if err != nil {
		t.Fatal(err)
	}
	home := t.TempDir()
	recipes := recipe.FindAllStringSubmatch(string(b), -1)
	if len(recipes) < 9 {
		t.Fatalf("%d recipes", len(recipes))
	}
	for i, r := range recipes {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		cmd := exec.CommandContext(ctx, "bash", "-uo", "pipefail", "-c", r[2])
		cmd.Dir = home
		cmd.Env = []string{"PATH=" + bin + ":" + os.Getenv("PATH"), "HOME=" + home, "TEXTFILE_FOLDER=" + home, "GEOTOP_CONFIG=" + os.DevNull, "LANG=C.UTF-8"}
		out, err := cmd.CombinedOutput()
		code := 0
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			code = exit.ExitCode()
		}
		want, _ := strconv.Atoi(r[1])
		if code != want {
			t.Errorf("recipe %d exits %d, not %d (%v)\n%s\n%s", i+1, code, want, err, r[2], out)
		}
	}
	for file, want := range map[string]string{
		"mailed": "geotop: X CRITICAL", "geotop.prom": "geotop_site_state{", "status.html": "curepipe", "change.json": `{"schemaVersion":1`, "moka.txt": "moka",
	} {
		if got, err := os.ReadFile(filepath.Join(home, file)); err != nil || !strings.Contains(string(got), want) {
			t.Errorf("%s has no %q (%v): %.300s", file, want, err, got)
		}
	}
}

// TestCommandsInDocs has every command that the docs show understood by this geotop:
// its name, flags and number of arguments.
func TestCommandsInDocs(t *testing.T) {
	files, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	seen, tried := 0, map[string]bool{}
	for _, file := range append(files, "../../README.md", "../../deploy/rbac-view.yaml") {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		text := strings.ReplaceAll(string(b), "\n#   geotop", "\n    geotop")
		for _, r := range recipe.FindAllStringSubmatch(text, -1) {
			text += "\n    " + strings.ReplaceAll(strings.ReplaceAll(r[2], "\n\t", "\n"), "\n", "\n    ")
		}
		for _, m := range command.FindAllStringSubmatch(text, -1) {
			args, ok := shellWords(m[1])
			if !ok {
				t.Errorf("%s: %s: a quote has no end", filepath.Base(file), m[1])
				continue
			}
			seen++
			if err := understood(args[1:]); err != nil {
				t.Errorf("%s: %s: %v", filepath.Base(file), m[1], err)
			} else if line := strings.Join(args[1:], " "); !tried[line] {
				tried[line] = true
				tryInDemo(t, args[1:])
			}
		}
	}
	if seen < 30 || len(tried) < 30 {
		t.Errorf("only %d commands were found, %d of them different", seen, len(tried))
	}
}

// tryInDemo runs a command of the docs on the demo: what acts only to see what it would
// come to, what opens a screen once. What goes into pods, is endless, or needs a recording
// has its tests in lab/e2e, or here.
func tryInDemo(t *testing.T, args []string) {
	t.Helper()
	state := t.TempDir()
	t.Setenv("XDG_STATE_HOME", state)
	line := strings.Join(args, " ")
	want := exitOK
	for part, code := range map[string]int{"--check": 2, "dead moka": exitFailed} {
		if strings.Contains(line, part) {
			want = code
		}
	}
	command := ""
	if len(args) > 0 {
		command = args[0]
	}
	switch command {
	case "logs", "shell", "forward":
		return
	case "config":
		file := filepath.Join(state, "config.yaml")
		if err := os.WriteFile(file, []byte("theme: dark\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, file)
	case "plan":
		if slices.Contains(args, "finish") {
			want = exitFailed // there is none in a demo
		}
		args = append(args, "--demo")
	case "drain", "backup", "rebalance", "outage", "return", "dead", "restore", "scale":
		args = append(args, "--demo", "--dry-run")
	default:
		if i := slices.Index(args, "--context"); i >= 0 {
			args = slices.Delete(slices.Clone(args), i, i+2)
		}
		if slices.Contains(args, "--watch") || slices.Contains(args, "--replay") {
			return
		}
		if i := slices.Index(args, "--record"); i >= 0 {
			args = slices.Clone(args)
			args[i+1] = filepath.Join(state, args[i+1])
		}
		if command == "" || strings.HasPrefix(command, "-") && !slices.Contains(args, "doctor") {
			args = append(args, "--once")
		}
		args = append(args, "--demo")
	}
	if out, errs, code := geotop(t, args...); code != want {
		t.Errorf("geotop %s: exit code %d, not %d\n%s%s", strings.Join(args, " "), code, want, out, errs)
	}
}

func understood(args []string) error {
	root := newCommand()
	root.InitDefaultHelpFlag()
	root.InitDefaultCompletionCmd(args...)
	cmd, rest, err := root.Find(args)
	if err != nil {
		return err
	}
	if err := cmd.ParseFlags(rest); err != nil {
		return err
	}
	if err := cmd.ValidateArgs(cmd.Flags().Args()); err != nil {
		return fmt.Errorf("arguments: %w", err)
	}
	return nil
}

// shellWords splits a line as a shell does, up to what is no word of the command any
// more; it is no prose when that fails.
func shellWords(line string) (words []string, ok bool) {
	var word strings.Builder
	in, begun := rune(0), false
	for _, r := range line {
		switch {
		case in != 0 && r == in:
			in = 0
		case in != 0:
			word.WriteRune(r)
		case r == '\'' || r == '"':
			in, begun = r, true
		case r == ' ' || r == '\t':
			if begun {
				words = append(words, word.String())
				word.Reset()
				begun = false
			}
		case strings.ContainsRune("|;&>#", r) && (!begun || strings.ContainsRune("|;&>", r)):
			if begun && r == '>' && word.String() == "2" {
				begun = false
			}
			if begun {
				words = append(words, word.String())
			}
			return words, true
		default:
			word.WriteRune(r)
			begun = true
		}
	}
	if begun {
		words = append(words, word.String())
	}
	return words, in == 0
}

// TestTroubleInDocs has what the docs say that geotop says be what it says.
func TestTroubleInDocs(t *testing.T) {
	b, err := os.ReadFile("../../docs/getting-started.md")
	if err != nil {
		t.Fatal(err)
	}
	var sources strings.Builder
	for _, pattern := range []string{"../../collectors/*/*.go", "../../model/*.go"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.HasSuffix(file, "_test.go") {
				sources.Write(text)
			}
		}
	}
	rows := regexp.MustCompile("(?m)^\\| `([^`]+)` \\|").FindAllStringSubmatch(string(b), -1)
	if len(rows) < 5 {
		t.Fatalf("%d rows", len(rows))
	}
	for _, r := range rows {
		if !strings.Contains(sources.String(), r[1]) {
			t.Errorf("nothing says %q", r[1])
		}
	}
}

func readDoc(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "..", "docs", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
