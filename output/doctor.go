package output

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/geotop/geotop/model"
	"github.com/geotop/geotop/text"
	"github.com/geotop/geotop/themes"
	"github.com/geotop/geotop/view"
)

// purposes says what each source is for, by its name or its group's.
var purposes = map[string]string{
	model.SourceAPI: "the API server", model.SourceNodes: "sites and machines", model.SourceLeases: "heartbeats",
	model.SourcePods: "what runs where", model.SourceAPIServers: "other API servers to go on with", model.SourceEvents: "what went wrong lately",
	model.SourceNodeEvents: "what happened to nodes", model.SourceNodeUsage: "CPU and memory in use", model.SourceTailnet: "this machine's tailscaled",
	model.SourcePeers: "the machines of the tailnet", model.SourcePings: "the ways to every house", model.SourceVolumes: "volumes",
	model.SourceReplicas: "the houses of their copies", model.SourceEngines: "which copies are in sync", model.SourceStorageNodes: "disks",
	model.SourceBackups: "what is claimed to be saved", model.SourceBackupTargets: "where backups go", model.SourceBackupVolumes: "what each target holds", model.SourceSystemBackups: "Longhorn's own resources",
	model.SourceSnapshots:         "what each volume was before",
	model.SourceEtcdMetrics:       "the ways between the other houses",
	model.SourcePrometheus:        "the ways between the other houses",
	model.SourceControl:           "the machines of the tailnet, without a daemon here",
	model.SourcePersistentVolumes: "where pods with volumes may run",
	model.SourceEtcdSnapshots:     "backups of the control plane",
	model.SourcePlans:             "what geotop is doing here, or left undone",
	model.SourceSettings:          "what Longhorn goes by",
	model.SourceRecurringJobs:     "what is backed up, and when", model.SourceStore: "whether backups are in the bucket",
}

// purpose says what a source is for.
func purpose(s model.Source) string {
	if p := purposes[s.Name]; p != "" {
		return p
	}
	for _, k := range model.ControllerKinds {
		if k.Source == s.Name {
			return "what owns the pods"
		}
	}
	if s.Group() == model.SourceStore {
		return purposes[model.SourceStore]
	}
	return ""
}

// Doctor prints what geotop can and cannot see, and how to mend that. It reports
// whether all can be seen that is there.
func Doctor(out io.Writer, w *model.World, opt Options) (well bool, err error) {
	if opt.Width <= 0 {
		opt.Width = endless
	}
	t := &printer{theme: opt.Theme, width: opt.Width}
	well = true
	group, said := "", map[string]bool{}
	for _, s := range w.Sources {
		if s.Group() != group {
			if group != "" {
				t.blank()
			}
			group = s.Group()
		}
		mark, word := view.Mark(model.Unknown), string(s.Status)
		switch s.Status {
		case model.SourceOK:
			mark = view.Mark(model.OK)
			if s.Items > 0 {
				word += ", " + strconv.Itoa(s.Items)
			}
			if ms := s.Latency.Milliseconds(); ms > 0 {
				word += fmt.Sprintf(", %d ms", ms)
			}
		case model.SourceAbsent:
			mark, word = view.Cell{Text: "○", Token: themes.Dim}, "not here"
		default:
			well = false
		}
		t.line(mark, view.Cell{Text: " " + text.Pad(s.Name, 24) + " "}, view.Cell{Text: text.Pad(word, 16), Token: mark.Token}, view.Cell{Text: " " + purpose(s), Token: themes.Dim})
		if s.Status == model.SourceOK || said[s.Error+s.Hint] { // what ails many is said once
			continue
		}
		said[s.Error+s.Hint] = true
		for _, words := range []string{s.Error, s.Hint} {
			if words == "" {
				continue
			}
			for _, line := range text.Wrap(model.Clean(words, 0), max(20, t.width-4)) {
				t.line(view.Cell{Text: "    " + line})
			}
		}
	}
	for _, h := range w.Hints {
		t.blank()
		t.line(view.Cell{Text: "hint: ", Token: themes.Accent}, view.Cell{Text: h})
	}
	t.blank()
	verdict := "All there is can be seen."
	if !well {
		verdict = "Some of it cannot be seen; what to do about it is said above."
	}
	t.raw(strings.TrimSpace(verdict))
	_, err = io.WriteString(out, t.b.String())
	return well, err
}
