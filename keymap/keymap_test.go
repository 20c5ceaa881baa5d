package keymap

import "testing"

func TestDefaultTableIsSound(t *testing.T) {
	if err := Default().Check(); err != nil {
		t.Error(err)
	}
}

func TestCheckFindsFaults(t *testing.T) {
	for name, bindings := range map[string][]Binding{
		"a key twice":        {{Help, Global, []string{"?"}, "help", ""}, {Quit, Global, []string{"q", "?"}, "quit", ""}},
		"a key that edits":   {{Back, List, []string{"q", "backspace"}, "back", ""}},
		"unreachable":        {{Redraw, Global, []string{"ctrl+l", "f5"}, "redraw", ""}},
		"without a key":      {{Redraw, Global, nil, "redraw", ""}},
		"without a sentence": {{Redraw, Global, []string{"r"}, "", ""}},
	} {
		if err := (&Map{bindings}).Check(); err == nil {
			t.Errorf("%s: not found", name)
		}
	}
}

func TestInnerScopeWins(t *testing.T) {
	m := Default()
	for _, tc := range []struct {
		key    string
		scopes []Scope
		want   Action
	}{
		{"q", []Scope{List, Global}, Back},
		{"enter", []Scope{List, Global}, Open},
		{"enter", []Scope{Page, Global}, PageDown},
		{"esc", []Scope{Filtered}, Clear},
		{"n", []Scope{List, Global}, NextProblem},
		{"n", []Scope{Question}, Back},
	} {
		if got, _ := m.Lookup(tc.key, tc.scopes...); got != tc.want {
			t.Errorf("%s in %v is %q, want %q", tc.key, tc.scopes, got, tc.want)
		}
	}
	if a, ok := m.Lookup("backspace", List, Global); ok {
		t.Errorf("backspace does %s", a)
	}
}

// Enter alone must never agree to anything.
func TestEnterSaysNo(t *testing.T) {
	if a, _ := Default().Lookup("enter", Question); a != Back {
		t.Errorf("enter in a question does %q", a)
	}
}
