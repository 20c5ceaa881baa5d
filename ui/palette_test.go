package ui

import (
	"slices"
	"strings"
	"testing"

	"github.com/charmbracelet/x/ansi"

	"github.com/geotop/geotop/model"
)

// typed presses the letters of a word.
func typed(a *App, word string) { press(a, strings.Split(word, "")...) }

// The palette goes where one types to, plans what one types on the row it was opened
// on, and does nothing when it is left.
func TestPalette(t *testing.T) {
	f := &fakeActor{}
	a := acting(t, worldOf(t, healthy), f, true)
	press(a, ":")
	shows(t, a, "cordon curepipe")
	typed(a, "volu")
	press(a, "enter")
	if a.pane() != "volumes" || a.palette != nil {
		t.Errorf("it is at %s:\n%s", a.pane(), ansi.Strip(a.frame))
	}
	press(a, ":")
	typed(a, "site moka")
	press(a, "enter")
	if a.site != "moka" {
		t.Errorf("only %q is shown", a.site)
	}
	press(a, ":")
	typed(a, "all sit")
	press(a, "enter", "1", ":")
	typed(a, "drain")
	a.settle(press(a, "enter"))
	shows(t, a, "drain curepipe")
	shows(t, a, "the name curepipe")
	press(a, "q", ":", "esc", ":")
	typed(a, "zzz")
	shows(t, a, "nothing is called so")
	press(a, "enter")
	if len(f.did) > 0 || a.pane() != "sites" {
		t.Errorf("did %v, at %s", f.did, a.pane())
	}
	press(a, ":", "down", "tab", "up")
	if a.palette.at != 1 {
		t.Errorf("at %d", a.palette.at)
	}
	press(a, "esc", ":")
	typed(a, "theme mo")
	press(a, "enter")
	if a.theme.Name != "mono" {
		t.Errorf("theme %s", a.theme.Name)
	}
}

// Every command of the palette does something that does not panic, and words of the
// cluster cannot move the cursor in it.
func TestEveryCommandOfThePalette(t *testing.T) {
	for at := 0; ; at++ {
		w, site := *worldOf(t, healthy), *worldOf(t, healthy).Sites[0]
		site.Name += "\x1b[2J"
		w.Sites = append([]*model.Site{&site}, w.Sites[1:]...)
		a := acting(t, &w, &fakeActor{}, false)
		press(a, ":")
		if at >= len(a.palette.all) {
			break
		}
		if err := escapes(a.frame); err != nil {
			t.Fatal(err)
		}
		words := a.palette.all[at].words
		if slices.ContainsFunc(a.palette.all[:at], func(c command) bool { return c.words == words }) {
			t.Fatalf("two commands are called %q", words)
		}
		a.palette.at = at
		press(a, "enter")
		if err := escapes(a.frame); err != nil {
			t.Errorf("%q: %v", words, err)
		}
	}
}
