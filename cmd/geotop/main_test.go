package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/geotop/geotop/text"
)

// TestMain keeps the account's own configuration out of the tests.
func TestMain(m *testing.M) {
	if err := os.Setenv("GEOTOP_CONFIG", os.DevNull); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

// geotop runs the command in this process.
func geotop(t *testing.T, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	var out, errs bytes.Buffer
	code = run(args, &out, &errs)
	return out.String(), errs.String(), code
}

func TestExitCodesFollowTheState(t *testing.T) {
	for scenario, want := range map[string]int{"healthy": 0, "rebuild": 1, "weak": 2, "powercut": 2} {
		if out, errs, code := geotop(t, "--demo="+scenario, "--once", "--check"); code != want {
			t.Errorf("--demo=%s --check: exit code %d, want %d\n%s%s", scenario, code, want, out, errs)
		}
		if _, _, code := geotop(t, "--demo="+scenario, "--once"); code != 0 {
			t.Errorf("--demo=%s without --check: exit code %d", scenario, code)
		}
	}
}

// What --once prints is what --from opens: same findings, same exit code.
func TestASavedWorldOpensAgain(t *testing.T) {
	doc, _, _ := geotop(t, "--demo=powercut", "-o", "json")
	file := filepath.Join(t.TempDir(), "world.json")
	if err := os.WriteFile(file, []byte(doc), 0o600); err != nil {
		t.Fatal(err)
	}
	again, errs, code := geotop(t, "--from", file, "-o", "json", "--check")
	if code != 2 || again != doc {
		t.Errorf("exit code %d, %s; the document came back changed: %v", code, errs, again != doc)
	}
	table, _, _ := geotop(t, "--from", file, "--once")
	if !strings.Contains(table, "curepipe DARK") {
		t.Errorf("as a table:\n%s", table)
	}
}

// What --record takes down is what --replay shows.
func TestARecordingIsReplayed(t *testing.T) {
	file := filepath.Join(t.TempDir(), "night.geotop")
	doc, errs, code := geotop(t, "--demo=powercut", "--record", file, "-o", "json")
	if code != 0 || errs != "" {
		t.Fatalf("recording: exit code %d, %s", code, errs)
	}
	again, errs, code := geotop(t, "--replay", file, "-o", "json", "--check")
	if code != 2 || again != doc {
		t.Errorf("exit code %d, %s; the document came back changed: %v", code, errs, again != doc)
	}
	if _, errs, code := geotop(t, "--demo", "--record", file, "--once"); code != 64 || !strings.Contains(errs, "is there already") {
		t.Errorf("over a recording that is there: exit code %d, %s", code, errs)
	}
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for what, content := range map[string][]byte{"nothing": nil, "text": []byte("hello"), "half": whole[:len(whole)/2]} {
		if err := os.WriteFile(file, content, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, errs, code := geotop(t, "--replay", file, "--once"); code != 64 || !strings.Contains(errs, file) {
			t.Errorf("replaying %s: exit code %d, %s", what, code, errs)
		}
	}
}

func TestSiteNarrowsEverything(t *testing.T) {
	out, _, code := geotop(t, "--demo=powercut", "--site", "moka", "-o", "json", "--check")
	var doc struct {
		Status string
		Sites  []struct{ Name string }
		Nodes  []struct{ Site string }
		Pods   []struct{ Site string }
	}
	if err := json.Unmarshal([]byte(out), &doc); err != nil {
		t.Fatal(err)
	}
	if len(doc.Sites) != 1 || doc.Sites[0].Name != "moka" || len(doc.Nodes) != 3 {
		t.Errorf("%d sites, %d nodes", len(doc.Sites), len(doc.Nodes))
	}
	for _, p := range doc.Pods {
		if p.Site != "moka" {
			t.Errorf("a pod of %q", p.Site)
		}
	}
	if code == 2 {
		t.Error("another house's outage is this one's verdict")
	}
}

func TestUsageErrors(t *testing.T) {
	t.Setenv("KUBECONFIG", filepath.Join(t.TempDir(), "none"))
	for _, args := range [][]string{
		{"--frobnicate"}, {"somewhere"}, {"-o", "xml", "--demo"}, {"--theme", "neon", "--demo"}, {"--color", "maybe", "--demo"},
		{"--demo=sunny"}, {"--demo", "--from", "x"}, {"--timeout", "0s", "--demo"}, {"--timeout", "soon"}, {"--from", "/nowhere"},
		{"--replay", "/nowhere"}, {"--demo", "--replay", "x"}, {"--from", "x", "--record", "y"}, {"--demo", "--record", "/nowhere/y"},
		{"--kubeconfig", "/nowhere", "--once"}, {"--once"}, {"--demo", "--site", "mars", "--once"},
		{"--demo", "--once", "--as-group", "g"}, {"--demo", "--once", "--request-timeout", "-1s"}, {"--demo", "--once", "-n", "no such"},
		{"logs", "web/blog", "-n", "Web"}, {"whatif", "moka", "--demo", "--as-group", "g"},
	} {
		out, errs, code := geotop(t, args...)
		if code != exitUsage || !strings.HasPrefix(errs, "geotop: ") || out != "" {
			t.Errorf("%q: exit code %d, stdout %q, stderr %q", args, code, out, errs)
		}
	}
}

func TestHelpVersionAndCompletion(t *testing.T) {
	for _, tc := range []struct {
		args []string
		want string
	}{
		{[]string{"--help"}, "--low-bandwidth"},
		{[]string{"version"}, "geotop "},
		{[]string{"completion", "bash"}, "__geotop"},
		{[]string{"__complete", "--demo", ""}, ""},
		{[]string{"__complete", "--theme", ""}, "high-contrast"},
		{[]string{"__complete", "--output", ""}, "nagios"},
		{[]string{"__complete", "--demo", "cordon", "m"}, "moka\n"},
		{[]string{"__complete", "--demo", "cordon", "node/f"}, "node/flacq-1\nnode/flacq-2\nnode/flacq-3\n:4"},
		{[]string{"__complete", "--demo", "whatif", "moka", ""}, "curepipe\nflacq\n:4"},
		{[]string{"__complete", "--demo", "backup", "dev/"}, "dev/code-home\ndev/gitea-data\n"},
		{[]string{"__complete", "--demo", "scale", "web/b"}, "web/blog\n:4"},
		{[]string{"__complete", "--demo", "scale", "web/blog", ""}, ":4"},
		{[]string{"__complete", "--demo", "logs", "-n", "db", "postgres-"}, "postgres-0\npostgres-1\npostgres-2\n:4"},
		{[]string{"__complete", "--demo", "plan", "outage", ""}, "curepipe\nflacq\nmoka\n:4"},
		{[]string{"__complete", "--demo", "restore", "dev/g"}, "dev/gitea-data\n:4"},
		{[]string{"__complete", "--demo", "--once", "--site", ""}, "flacq\n"},
	} {
		out, errs, code := geotop(t, tc.args...)
		if code != 0 || !strings.Contains(out, tc.want) {
			t.Errorf("%q: exit code %d, %q\n%s", tc.args, code, out, errs)
		}
	}
}

func TestDoctor(t *testing.T) {
	out, errs, code := geotop(t, "doctor", "--demo")
	if code != 0 || !strings.Contains(out, "● kube/nodes") || !strings.Contains(out, "All there is can be seen") {
		t.Errorf("exit code %d\n%s%s", code, out, errs)
	}
	kubeconfig := filepath.Join(t.TempDir(), "config")
	text := `{"apiVersion":"v1","kind":"Config","current-context":"x","contexts":[{"name":"x","context":{"cluster":"x","user":"x"}}],
		"clusters":[{"name":"x","cluster":{"server":"https://127.0.0.1:1"}}],"users":[{"name":"x","user":{"token":"planted-token"}}]}`
	if err := os.WriteFile(kubeconfig, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	out, errs, code = geotop(t, "doctor", "--kubeconfig", kubeconfig, "--no-state", "--tailscale-socket", filepath.Join(t.TempDir(), "none"))
	for _, want := range []string{"? kube ", "connection refused", "is k3s running", "○ tailnet ", "--tailscale-socket", "Some of it cannot be seen"} {
		if !strings.Contains(out, want) {
			t.Errorf("lacks %q:\n%s", want, out)
		}
	}
	if code != 1 || strings.Contains(out+errs, "planted") {
		t.Errorf("exit code %d\n%s%s", code, out, errs)
	}
}

func TestHelpFits(t *testing.T) {
	all := [][]string{{"--help"}}
	for _, c := range newCommand().Commands() {
		all = append(all, []string{c.Name(), "--help"})
		for _, sub := range c.Commands() {
			if c.Name() != "completion" { // cobra's own
				all = append(all, []string{c.Name(), sub.Name(), "--help"})
			}
		}
	}
	for _, args := range all {
		out, errs, code := geotop(t, args...)
		if code != 0 || errs != "" {
			t.Fatalf("%v: exit code %d, %s", args, code, errs)
		}
		for line := range strings.Lines(out) {
			if n := text.Width(strings.TrimRight(line, "\n")); n > 80 {
				t.Errorf("%v: %d cells: %s", args, n, line)
			}
		}
	}
}

// Actions on the command line ask, or are told; plans change nothing.
func TestActionsOnTheCommandLine(t *testing.T) {
	for name, c := range map[string]struct {
		args []string
		code int
		says string
	}{
		"nobody to ask":     {[]string{"cordon", "moka"}, exitUsage, "--yes, or --dry-run"},
		"a plan":            {[]string{"plan", "drain", "moka", "-o", "wide"}, 0, "$ kubectl drain moka-1"},
		"a dry run":         {[]string{"drain", "moka", "--dry-run"}, 0, "keeps its only good copy here"},
		"done":              {[]string{"cordon", "node/moka-1", "--yes"}, 0, "done    cordon moka-1"},
		"done, of a house":  {[]string{"cordon", "flacq", "--yes"}, 0, "done    cordon flacq-3"},
		"nothing to do":     {[]string{"uncordon", "moka", "--yes"}, 0, "moka is not cordoned"},
		"no such house":     {[]string{"cordon", "atlantis", "--yes"}, exitUsage, "no site and no machine"},
		"another name":      {[]string{"cordon", "moka", "--override", "flacq"}, exitUsage, `is about "moka"`},
		"no plan was left":  {[]string{"plan"}, 0, "no plan is under way"},
		"nothing to finish": {[]string{"plan", "finish"}, exitFailed, "none was left"},
		"no target":         {[]string{"drain"}, exitUsage, "accepts 1 arg"},
		"an odd format":     {[]string{"plan", "drain", "moka", "-o", "nagios"}, exitUsage, "not for plans"},
	} {
		out, errs, code := geotop(t, append(c.args, "--demo")...)
		if code != c.code || !strings.Contains(out+errs, c.says) {
			t.Errorf("%s: exit code %d, not %d, or %q is not said:\n%s%s", name, code, c.code, c.says, out, errs)
		}
	}
	file := filepath.Join(t.TempDir(), "world.json")
	doc, _, _ := geotop(t, "--demo", "-o", "json")
	if err := os.WriteFile(file, []byte(doc), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, errs, code := geotop(t, "cordon", "moka", "--yes", "--from", file); code != exitUsage || !strings.Contains(errs, "cannot be changed") {
		t.Errorf("a file: exit code %d: %s", code, errs)
	}
}

// The demo can be acted upon: a backup ends in its bucket, a copy in another house.
func TestActionsOnTheDemo(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ args, says string }{
		{"backup dev/code-home --yes --demo", "done    back up dev/code-home: verified in the bucket"},
		{"rebalance dev/gitea-data --yes --demo", "done    move a copy of dev/gitea-data from moka to curepipe: now on curepipe"},
	} {
		t.Run(c.args, func(t *testing.T) {
			t.Parallel()
			if out, errs, code := geotop(t, strings.Fields(c.args)...); code != 0 || !strings.Contains(errs, c.says) {
				t.Errorf("exit code %d:\n%s%s", code, out, errs)
			}
		})
	}
}
