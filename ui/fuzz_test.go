package ui

import (
	"fmt"
	"math/rand/v2"
	"os/exec"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"

	"github.com/geotop/geotop/model"
)

// hostile is a World whose every text tries to break the screen.
func hostile() *model.World {
	evil := "\x1b]0;owned\a\x1b[2J\x1b[31m日本語\r\n\u202eevil\u0000\u200b👩‍👩‍👧‍👦é"
	site := "site" + evil
	f := model.ClusterFacts{Name: "c" + evil, Server: "https://x" + evil, API: model.Source{Cluster: "c" + evil, Name: model.SourceAPI, Status: model.SourceOK, Error: evil}}
	at := time.Date(2026, 3, 14, 0, 0, 0, 0, time.UTC)
	ok := func(name string) model.Source {
		return model.Source{Cluster: f.Name, Name: name, Status: model.SourceOK, ObservedAt: at}
	}
	f.Nodes.Source, f.Pods.Source, f.Leases.Source = ok(model.SourceNodes), ok(model.SourcePods), ok(model.SourceLeases)
	for i := range 3 {
		name := fmt.Sprintf("node-%d%s", i, evil)
		f.Nodes.Items = append(f.Nodes.Items, &model.NodeFact{
			Cluster: f.Name, Name: name, Labels: map[string]string{"topology.kubernetes.io/zone": site, evil: evil}, Kubelet: evil, OSImage: evil,
			Conditions: []model.Condition{{Type: "Ready", Status: "False", Reason: evil, Message: evil}},
		})
		f.Pods.Items = append(f.Pods.Items, &model.Pod{Cluster: f.Name, Namespace: "ns" + evil, Name: "pod" + name, UID: name, Node: name, Status: "Crash" + evil, Message: evil, Containers: 1})
	}
	f.Events = []model.Section[model.Event]{{Source: ok(model.SourceEvents), Items: []*model.Event{{Cluster: f.Name, UID: "e", Kind: "Pod" + evil, Object: evil, Type: "Warning", Reason: evil, Message: evil, Last: at}}}}
	changes := []*model.Change{{At: at, Cluster: f.Name, Site: site, Kind: "Node" + evil, Name: evil, Namespace: evil, Aspect: model.AspectState, Was: evil, Now: evil, Why: evil}}
	return model.Assemble(model.Facts{Clusters: []model.ClusterFacts{f}, Changes: changes, LookedAt: at.Add(-time.Hour)}, at, model.Options{SiteLabels: model.SiteLabels})
}

// escapes reports anything but text and styles of our own in the frame.
func escapes(frame string) error {
	rest := frame
	for {
		i := strings.IndexAny(rest, "\x1b\a\r\x00\u202e\u200b\u009b")
		if i < 0 {
			return nil
		}
		if rest[i] != '\x1b' {
			return fmt.Errorf("control character %q", rest[i:min(len(rest), i+3)])
		}
		end := strings.IndexByte(rest[i:], 'm')
		if end < 0 || !strings.HasPrefix(rest[i:], "\x1b[") || strings.Trim(rest[i+2:i+end], "0123456789;") != "" {
			return fmt.Errorf("escape sequence %q", rest[i:min(len(rest), i+12)])
		}
		rest = rest[i+end+1:]
	}
}

var everyKey = []string{
	"p", "z", "1", "2", "6", "7", "8", "tab", "-", "j", "k", "g", "G", ".", ",", "n", "N", "!", "enter", "d", "?", "q", "esc", "o", "O", "w", "[", "]", "t", "W", "y", "/", "x", "0", "a", "c", "u", "D", "b", "B", "R", "s", "l", "f", "F", "3", "4", "5", "m", "r", "p", "S", "Y", "9", ":", "backspace", "left", "right", "up", "down",
}

// FuzzScreens presses keys and resizes at random: whatever happens, no line is
// wider than the screen, nothing hostile gets through, and how to leave shows.
func FuzzScreens(f *testing.F) {
	for seed := range uint64(24) {
		f.Add(seed, uint8(seed*11), uint8(seed*7))
	}
	f.Fuzz(func(t *testing.T, seed uint64, width, height uint8) {
		u := newUser(t, seed, dark, moment{"weak", 0})
		u.app.Update(tea.WindowSizeMsg{Width: int(width), Height: int(height)})
		for range 60 {
			u.step()
		}
	})
}

// user presses keys and resizes at random, while the world goes on.
type user struct {
	t      *testing.T
	rng    *rand.Rand
	worlds []*model.World
	app    *App
}

func newUser(t *testing.T, seed uint64, scenarios ...moment) *user {
	t.Helper()
	u := &user{t: t, rng: rand.New(rand.NewPCG(seed, 1)), worlds: []*model.World{hostile(), nil, sourceState(t, model.SourceForbidden, "no", false)}}
	for _, m := range scenarios {
		u.worlds = append(u.worlds, worldOf(t, m))
	}
	a := open(t, u.worlds[u.rng.IntN(len(u.worlds))], 80, 24)
	a.cfg.Actor, a.write = &fakeActor{}, u.rng.IntN(3) > 0
	a.cfg.ASCII = u.rng.IntN(4) == 0
	a.cfg.Logs = func(ask LogAsk) Lines { return &said{ask: ask} }
	a.cfg.Enter = func(string, string, string, ...string) *exec.Cmd { return exec.Command("true") }
	u.app = a
	return u
}

// step does one thing and looks at what is drawn then.
func (u *user) step() {
	u.t.Helper()
	a, rng := u.app, u.rng
	switch rng.IntN(12) {
	case 0:
		a.Update(tea.WindowSizeMsg{Width: rng.IntN(260), Height: rng.IntN(90)})
	case 1:
		if w := u.worlds[rng.IntN(len(u.worlds))]; w != nil {
			a.Update(worldMsg{w})
		}
	case 2:
		a.Update(armMsg{})
	case 3, 4:
		a.happen(rng)
	default:
		press(a, everyKey[rng.IntN(len(everyKey))])
	}
	if err := fits(a); err != nil {
		u.t.Fatal(err)
	}
	if err := escapes(a.frame); err != nil {
		u.t.Fatalf("%v in\n%q", err, a.frame)
	}
	if a.world == nil || a.height < 2 || a.width < 6 || a.filter != nil || a.note != "" || a.question != nil || a.typed != nil {
		return
	}
	if words := frame(a); !strings.Contains(words, "q ") && (a.palette == nil || !strings.Contains(words, "Esc leave")) {
		u.t.Fatalf("%dx%d does not say how to leave:\n%s", a.width, a.height, words)
	}
}
