// Package config reads the operator's choices from a file, and says line by line what is
// wrong with it.
//
// Every setting is a flag of the command by the same name, so that there is one list of
// them, and one way each is read. A context's own settings go before those for all.
package config

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// File is what a configuration says.
type File struct {
	Path     string
	Section                     // for all contexts
	Contexts map[string]Section // by their names in the kubeconfig
	Keys     map[string]Value   // by what they do
	Problems []Problem
}

// Section is what may differ from context to context.
type Section struct {
	Settings map[string]Value  // by flag
	Sites    map[string]Places // by their names
}

// Places is what is known of a site beside its nodes.
type Places struct {
	Location Value // "latitude,longitude" in degrees
}

// Value is a setting, or the keys of an action, and where that stands.
type Value struct {
	Line  int
	Texts []string // one for a plain value; of a mapping "key=value" each
	Lines []int    // of each of Texts
}

// Problem is something wrong with the file. A warning leaves it of use.
type Problem struct {
	Line    int // 0 for the file as a whole
	Text    string
	Warning bool
}

// Is tells what may be in a file: whether there is a setting, or an action for keys, of
// that name.
type Is struct {
	Setting func(name string) bool
	Action  func(name string) bool
	Known   func() []string // names of settings, for those that are nearly right
}

const mostBytes = 1 << 20

// Path is where the file is by default: $GEOTOP_CONFIG, else geotop/config.yaml in
// $XDG_CONFIG_HOME or ~/.config; "" for an account without a home.
func Path() string {
	if p := os.Getenv("GEOTOP_CONFIG"); p != "" {
		return p
	}
	if d := os.Getenv("XDG_CONFIG_HOME"); filepath.IsAbs(d) {
		return filepath.Join(d, "geotop", "config.yaml")
	}
	if home, err := os.UserHomeDir(); err == nil {
		return filepath.Join(home, ".config", "geotop", "config.yaml")
	}
	return ""
}

// Open reads the file; one that is not there says nothing. An error is one of reading it:
// what is wrong in it is among its Problems.
func Open(path string, is Is) (*File, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return &File{Path: path}, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, mostBytes+1))
	switch {
	case err != nil:
		return nil, err
	case len(b) > mostBytes:
		return nil, fmt.Errorf("%s is larger than any configuration", path)
	}
	return Read(path, b, is), nil
}

// Read reads a file's content.
func Read(path string, content []byte, is Is) *File {
	f := &File{Path: path, Section: newSection(), Contexts: map[string]Section{}, Keys: map[string]Value{}}
	var doc yaml.Node
	dec := yaml.NewDecoder(bytes.NewReader(content))
	if err := dec.Decode(&doc); err != nil {
		if !errors.Is(err, io.EOF) {
			f.wrong(lineOf(err), "%s", reason(err))
		}
		return f
	}
	if more := dec.Decode(&yaml.Node{}); more == nil {
		f.wrong(0, "there is more than one document in it")
	}
	f.each(doc.Content[0], func(key string, line int, value *yaml.Node) {
		switch key {
		case "keys":
			f.readKeys(value, is)
		case "contexts":
			f.each(value, func(name string, _ int, value *yaml.Node) {
				s := newSection()
				f.each(value, func(key string, line int, value *yaml.Node) { f.setting(s, key, line, value, is) })
				f.Contexts[name] = s
			})
		default:
			f.setting(f.Section, key, line, value, is)
		}
	})
	slices.SortStableFunc(f.Problems, func(a, b Problem) int { return cmp.Compare(a.Line, b.Line) })
	return f
}

func newSection() Section {
	return Section{Settings: map[string]Value{}, Sites: map[string]Places{}}
}

func (f *File) wrong(line int, format string, args ...any) {
	f.Problems = append(f.Problems, Problem{Line: line, Text: fmt.Sprintf(format, args...)})
}

// each goes through a mapping. Aliases are not followed: nothing here needs them, and
// they can make a small file very large.
func (f *File) each(n *yaml.Node, do func(key string, line int, value *yaml.Node)) {
	if n.Kind == yaml.ScalarNode && n.Tag == "!!null" {
		return
	}
	if n.Kind != yaml.MappingNode {
		f.wrong(n.Line, "here belong names with values, \"name: value\"")
		return
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		switch {
		case key.Kind != yaml.ScalarNode:
			f.wrong(key.Line, "this is no name")
		case seen[key.Value]:
			f.wrong(key.Line, "%s is there twice", key.Value)
		default:
			seen[key.Value] = true
			do(key.Value, key.Line, value)
		}
	}
}

func (f *File) setting(s Section, key string, line int, value *yaml.Node, is Is) {
	switch {
	case key == "sites":
		f.each(value, func(name string, _ int, value *yaml.Node) {
			var p Places
			f.each(value, func(key string, line int, value *yaml.Node) {
				if key != "location" {
					f.unknown(line, key, []string{"location"})
					return
				}
				p.Location = f.value(key, line, value)
			})
			s.Sites[name] = p
		})
	case !is.Setting(key):
		f.unknown(line, key, append(is.Known(), "keys", "contexts", "sites"))
	default:
		if v := f.value(key, line, value); len(v.Texts) > 0 {
			s.Settings[key] = v
		}
	}
}

func (f *File) readKeys(n *yaml.Node, is Is) {
	f.each(n, func(action string, line int, value *yaml.Node) {
		if !is.Action(action) {
			f.wrong(line, "there is no action %s; geotop config actions lists them", action)
			return
		}
		if v := f.value(action, line, value); len(v.Texts) > 0 {
			f.Keys[action] = v
		}
	})
}

// unknown warns of a name that means nothing, and says which was likely meant.
func (f *File) unknown(line int, name string, known []string) {
	text := "unknown: " + name
	for _, k := range known {
		if near(name, k) {
			text += "; did you mean " + k + "?"
			break
		}
	}
	f.Problems = append(f.Problems, Problem{Line: line, Text: text, Warning: true})
}

// value reads a plain value, a list of them, or a mapping of them.
func (f *File) value(name string, line int, n *yaml.Node) Value {
	v := Value{Line: line}
	plain := func(n *yaml.Node) (string, bool) {
		if n.Kind != yaml.ScalarNode || n.Tag == "!!null" {
			f.wrong(n.Line, "%s: here belongs a plain value", name)
			return "", false
		}
		return n.Value, true
	}
	switch n.Kind {
	case yaml.SequenceNode:
		for _, c := range n.Content {
			if t, ok := plain(c); ok {
				v.Texts, v.Lines = append(v.Texts, t), append(v.Lines, c.Line)
			}
		}
	case yaml.MappingNode:
		f.each(n, func(key string, line int, value *yaml.Node) {
			if t, ok := plain(value); ok {
				v.Texts, v.Lines = append(v.Texts, key+"="+t), append(v.Lines, line)
			}
		})
	default:
		if t, ok := plain(n); ok {
			v.Texts, v.Lines = append(v.Texts, t), append(v.Lines, n.Line)
		}
	}
	return v
}

// near reports whether two names differ in case, dashes and at most two letters.
func near(a, b string) bool {
	bare := func(s string) string { return strings.ToLower(strings.NewReplacer("-", "", "_", "").Replace(s)) }
	a, b = bare(a), bare(b)
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		before := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := before
			if a[i] != b[j] {
				change++
			}
			before, row[j+1] = row[j+1], min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)] <= min(2, len(b)/3)
}

var atLine = regexp.MustCompile(`line (\d+): `)

// lineOf finds the line in what the YAML parser says, 0 when it names none.
func lineOf(err error) int {
	if m := atLine.FindStringSubmatch(err.Error()); m != nil {
		if n, err := strconv.Atoi(m[1]); err == nil {
			return n
		}
	}
	return 0
}

func reason(err error) string {
	return atLine.ReplaceAllString(strings.TrimPrefix(err.Error(), "yaml: "), "")
}
