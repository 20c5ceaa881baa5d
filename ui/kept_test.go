package ui

import (
	"encoding/json"
	"strings"
	"testing"

	tea "charm.land/bubbletea/v2"

	"github.com/geotop/geotop/keymap"
)

// How it looks comes back, on this screen and at the next start; what was left out of
// it does not.
func TestTheScreenComesBackAsItWas(t *testing.T) {
	w := worldOf(t, dark)
	a := open(t, w, 120, 40)
	press(a, "t", "2", "o", "o", "O", "w", "z", "/", "m", "o", "k", "a", "enter", "!", "]")
	sorted := a.top().(*listScreen).query
	press(a, "3", "2")
	if q := a.top().(*listScreen).query; q.Sort != sorted.Sort || !q.Reverse || !a.top().(*listScreen).few {
		t.Errorf("another pane and back: sorted by %d, reversed %v", q.Sort, q.Reverse)
	}
	doc, err := json.Marshal(a.Kept())
	if err != nil {
		t.Fatal(err)
	}
	var kept Kept
	if err := json.Unmarshal(doc, &kept); err != nil {
		t.Fatal(err)
	}
	b, err := New(Config{Context: t.Context(), Feed: fixed{w}, Keys: keymap.Default(), Theme: "auto", Kept: kept})
	if err != nil {
		t.Fatal(err)
	}
	b.Update(tea.WindowSizeMsg{Width: 120, Height: 40})
	b.Update(worldMsg{w})
	if b.pane() != "sites" || b.site != "" {
		t.Errorf("it starts in %s, only %q", b.pane(), b.site)
	}
	press(b, "2")
	s := b.top().(*listScreen)
	if s.query.Sort != sorted.Sort || !s.query.Reverse || !s.few || !b.whole || b.theme.Name != a.theme.Name || s.query.Text != "" || s.query.Problems {
		t.Errorf("the next start: %+v, few %v, whole %v, theme %s", s.query, s.few, b.whole, b.theme.Name)
	}
	if strings.Contains(string(doc), "moka") {
		t.Errorf("a filter is kept: %s", doc)
	}
	c, err := New(Config{Context: t.Context(), Feed: fixed{w}, Keys: keymap.Default(), Theme: "light", Kept: kept})
	if err != nil {
		t.Fatal(err)
	}
	if c.theme.Name != "light" {
		t.Errorf("a theme that is asked for gives way to %s", c.theme.Name)
	}
	press(b, "o", "o", "o", "o", "o", "o", "o", "o", "o", "o", "o", "o")
	for s.query.Sort >= 0 {
		press(b, "o")
	}
	if press(b, "w"); len(b.Kept().Lists) != 0 {
		t.Errorf("its own order is kept as a choice: %+v", b.Kept().Lists)
	}
	if _, shared := kept.Lists["nodes"]; !shared {
		t.Error("what it was told at the start has changed")
	}
}
