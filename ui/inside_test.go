package ui

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"

	"github.com/geotop/geotop/model"
	"github.com/geotop/geotop/view"
)

// said is a log with something in it.
type said struct {
	ask    LogAsk
	closed int
}

func (s *said) Next(context.Context) ([]string, error) { return nil, io.EOF }
func (s *said) Close()                                 { s.closed++ }

// inside opens an App in whose pods something can be done; logs are those that were
// opened, ran the programs.
func inside(t *testing.T, write bool) (a *App, logs *[]*said, ran *[]string) {
	t.Helper()
	logs, ran = &[]*said{}, &[]string{}
	a = acting(t, worldOf(t, healthy), &fakeActor{}, write)
	a.cfg.Enter = func(command, namespace, pod string, args ...string) *exec.Cmd {
		*ran = append(*ran, strings.Join(append([]string{command, namespace, pod}, args...), " "))
		return exec.Command("true")
	}
	a.cfg.Logs = func(ask LogAsk) Lines {
		l := &said{ask: ask}
		*logs = append(*logs, l)
		return l
	}
	return a, logs, ran
}

// say has a log say more.
func say(t *testing.T, a *App, lines ...string) {
	t.Helper()
	s, on := a.top().(*logScreen)
	if !on {
		t.Fatalf("there is no log on top:\n%s", ansi.Strip(a.frame))
	}
	a.Update(linesMsg{s, s.log, lines, nil})
}

// Shells and ports are for pods, and not while nothing may be changed.
func TestShellsAndPorts(t *testing.T) {
	a, _, ran := inside(t, false)
	press(a, "s")
	shows(t, a, "that is for pods")
	press(a, "F")
	shows(t, a, "that is for pods")
	press(a, "7", "s")
	shows(t, a, "read-only: no shells")
	press(a, "F")
	shows(t, a, "read-only: no shells")
	if len(*ran) > 0 {
		t.Errorf("ran %v", *ran)
	}
	a, _, ran = inside(t, true)
	press(a, "7", "s")
	press(a, "F")
	shows(t, a, "port, LOCAL:PORT, or none:")
	press(a, "8", "0", "8", "0", ":", "8", "0", "enter")
	press(a, "F", "1", "esc")
	press(a, "S")
	press(a, "2", "s")
	first := a.world.Pods[slices.IndexFunc(a.world.Pods, func(p *model.Pod) bool { return strings.HasSuffix((*ran)[0], " "+p.Name) })]
	want := []string{"shell " + first.Namespace + " " + first.Name, "forward " + first.Namespace + " " + first.Name + " 8080:80", "shell " + first.Namespace + " " + first.Name + " --debug", "shell  node/curepipe-1"}
	if !slices.Equal(*ran, want) {
		t.Errorf("ran %q, not %q", *ran, want)
	}
	a.Update(leftMsg{"the shell in x\x1b[2J", errors.New("exit status 3")})
	shows(t, a, "ended: exit status 3")
}

// A log moves with its end, stays where one has gone, and lets go when it is left.
func TestLogIsFollowed(t *testing.T) {
	a, logs, _ := inside(t, false)
	press(a, "7", "l")
	shows(t, a, "nothing yet")
	for i := range 100 {
		say(t, a, fmt.Sprintf("line %d", i))
	}
	shows(t, a, "line 99")
	shows(t, a, "100, follows")
	press(a, "k", "k")
	say(t, a, "line 100")
	shows(t, a, "line 97 ?") // the last line, and the footer below it
	press(a, "g")
	shows(t, a, "line 0 line 1 ")
	press(a, "G")
	shows(t, a, "line 100 ?")
	press(a, ",")
	if strings.Contains(ansi.Strip(a.frame), "line 100") {
		t.Errorf("a page up shows the end:\n%s", a.frame)
	}
	press(a, ".", ".")
	say(t, a, "line 101")
	shows(t, a, "line 101 ?")

	press(a, "/", "9", "9", "enter")
	shows(t, a, "/99 1, follows")
	say(t, a, "line 990", "line 102", strings.Repeat("x", 200)+"99")
	shows(t, a, "line 99 line 990 x")
	press(a, "/", "esc")
	shows(t, a, "105, follows")

	press(a, "p")
	shows(t, a, "previous")
	press(a, "c")
	shows(t, a, "all containers")
	if len(*logs) != 3 || (*logs)[0].closed != 1 || !(*logs)[2].ask.Previous || !(*logs)[2].ask.All {
		t.Errorf("%+v", *logs)
	}
	late := a.top().(*logScreen)
	a.Update(linesMsg{late, (*logs)[0], []string{"too late"}, nil})
	shows(t, a, "nothing yet")
	press(a, "q")
	if (*logs)[2].closed != 1 {
		t.Error("it was left, and is still read")
	}
	press(a, "l")
	press(a, "1")
	if (*logs)[3].closed != 1 {
		t.Error("another pane was opened, and it is still read")
	}
}

// What a log says is bounded and cannot move the cursor; its end and what is the matter
// with it are told.
func TestLogIsCleanAndBounded(t *testing.T) {
	a, _, _ := inside(t, false)
	press(a, "7", "l")
	many := make([]string, keptLines+100)
	for i := range many {
		many[i] = fmt.Sprintf("%d \x1b[2J\x1b]0;owned\a%s", i, strings.Repeat("w ", i%3*100))
	}
	press(a, "/", "2", "J", "enter")
	say(t, a, many...)
	s := a.top().(*logScreen)
	if len(s.lines) != keptLines || len(s.found) != keptLines || !strings.HasPrefix(s.lines[0], "100 ") {
		t.Errorf("%d lines, %d found, the first %q", len(s.lines), len(s.found), s.lines[0])
	}
	press(a, "w", "k", ",")
	before := s.shown()[s.last]
	say(t, a, append(slices.Clone(many[:10]), "other", "lines")...) // as many of the oldest go
	if now := s.shown()[s.last]; now != before || s.follow || len(s.found) != keptLines-2 {
		t.Errorf("at %q, and then at %q; %d found", before, now, len(s.found))
	}
	say(t, a, many...)
	if err := escapes(a.frame); err != nil {
		t.Error(err)
	}
	press(a, "w", "G")
	a.Update(linesMsg{s, s.log, []string{"the last"}, errors.New("broke \x1b[2Joff")})
	press(a, "/", "esc")
	shows(t, a, "the last broke [2Joff")
	if err := escapes(a.frame); err != nil {
		t.Error(err)
	}
	a, _, _ = inside(t, false)
	press(a, "7", "l")
	s = a.top().(*logScreen)
	a.Update(linesMsg{s, s.log, nil, io.EOF})
	shows(t, a, "it said nothing")
}

// The log of a workload is that of its pods.
func TestLogOfAWorkload(t *testing.T) {
	a, logs, _ := inside(t, false)
	press(a, "6", "/")
	press(a, strings.Split("node-exporter", "")...)
	press(a, "enter", "l")
	if len(*logs) != 1 || len((*logs)[0].ask.Pods) < 3 {
		t.Fatalf("%+v", *logs)
	}
	for _, p := range (*logs)[0].ask.Pods {
		if !strings.HasPrefix(p.Name, "node-exporter-") {
			t.Errorf("it reads %s", p.Name)
		}
	}
	press(a, "q")
	press(a, "esc", "1", "l")
	shows(t, a, "that is for pods")
}

// An object is shown as it is, and cannot move the cursor; a name is copied clean.
func TestYAMLAndCopy(t *testing.T) {
	a, _, _ := inside(t, false)
	asked := view.Object{}
	a.cfg.YAML = func(_ context.Context, o view.Object) ([]string, error) {
		asked = o
		return []string{"kind: Node", "metadata:", "  name: x\x1b[2J", "  - bad: \"a: b\""}, nil
	}
	for _, msg := range all(press(a, "2", "Y")) {
		a.Update(msg)
	}
	shows(t, a, "› yaml")
	shows(t, a, "kind: Node metadata: name: x [2J - bad: \"a: b\"")
	if err := escapes(a.frame); err != nil || asked.Kind != "Node" {
		t.Errorf("%v; asked for %+v", err, asked)
	}
	press(a, "q")
	a.Update(yamlMsg{"x", nil, errors.New("no \x1b[2J such")})
	shows(t, a, "no [2J such")
	if cmd := press(a, "y"); cmd == nil {
		t.Error("nothing was copied")
	}
	shows(t, a, "copied curepipe-1, if your terminal")
}

// Volumes that are marked are acted upon together; others are not marked.
func TestMarkedVolumes(t *testing.T) {
	f := &fakeActor{}
	a := acting(t, worldOf(t, healthy), f, true)
	press(a, "4", "m", "m")
	shows(t, a, "2 marked")
	press(a, "/", "z", "z", "z", "enter") // what the filter hides stays marked
	press(a, "/", "esc")
	a.settle(press(a, "b"))
	shows(t, a, "back up 2 volumes")
	press(a, "q", "a")
	shows(t, a, "2 marked › actions")
	press(a, "q", "k", "m", "esc")
	if strings.Contains(ansi.Strip(a.frame), "marked") {
		t.Errorf("marks are still there:\n%s", ansi.Strip(a.frame))
	}
	press(a, "2", "m")
	if strings.Contains(ansi.Strip(a.frame), "marked") {
		t.Errorf("a node is marked:\n%s", ansi.Strip(a.frame))
	}
}

// What an action asks is answered in a line, with what may do in it; leaving it does
// nothing.
func TestActionsThatAsk(t *testing.T) {
	a := acting(t, worldOf(t, healthy), &fakeActor{}, true)
	press(a, "6", "/")
	press(a, strings.Split("blog", "")...)
	press(a, "enter", "a", "2")
	shows(t, a, "how many pods: ")
	press(a, "esc")
	if _, on := a.top().(*listScreen); !on || a.typed != nil {
		t.Fatalf("it was not left:\n%s", ansi.Strip(a.frame))
	}
	press(a, "a", "2")
	for range 3 {
		press(a, "backspace")
	}
	a.settle(press(a, "7", "enter"))
	shows(t, a, "scale Deployment/web/blog")
	arm(a)
	a.settle(press(a, "y"))
	press(a, "q", "5", "a", "enter")
	shows(t, a, "name of the new volume: ")
	a.settle(press(a, "enter"))
	shows(t, a, "make the claim")
}

// What is typed stays in sight, its end first.
func TestTypingStaysInSight(t *testing.T) {
	a, _, _ := inside(t, false)
	for _, width := range []int{30, 40, 46} {
		a.Update(tea.WindowSizeMsg{Width: width, Height: 16})
		press(a, "/")
		press(a, strings.Split("a-rather-long-name-of-something-that-ends-with-日本xyz", "")...)
		last := ansi.Strip(a.frame[strings.LastIndexByte(a.frame, '\n')+1:])
		if !strings.HasPrefix(last, "/…") || !strings.HasSuffix(last, "日本xyz") || ansi.StringWidth(last) >= width {
			t.Errorf("%d wide: %q", width, last)
		}
		press(a, "esc")
	}
}
