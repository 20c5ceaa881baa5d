package model

import (
	"fmt"
	"slices"
)

// Outcome is what becomes of something when sites are lost, from good to bad.
type Outcome int

// The outcomes.
const (
	Survives    Outcome = iota // it goes on
	Degraded                   // it goes on with less than it should have
	Interrupted                // it is away for a while, and comes back by itself
	Undecided                  // what it depends on is not known
	Down                       // it is away until somebody does something, or the site is back
	DataLost                   // what it holds is gone, but for backups
)

var outcomeNames = [...]string{Survives: "survives", Degraded: "degraded", Interrupted: "interrupted", Undecided: "unknown", Down: "down", DataLost: "lost"}

func (o Outcome) String() string {
	if o < 0 || int(o) >= len(outcomeNames) {
		return fmt.Sprintf("outcome(%d)", int(o))
	}
	return outcomeNames[o]
}

// MarshalText writes the lower-case word.
func (o Outcome) MarshalText() ([]byte, error) { return []byte(o.String()), nil }

// UnmarshalText reads the lower-case word.
func (o *Outcome) UnmarshalText(b []byte) error {
	for i, n := range outcomeNames {
		if n == string(b) {
			*o = Outcome(i)
			return nil
		}
	}
	return fmt.Errorf("unknown verdict %q", b)
}

// Severity ranks the outcome as a state to be in: that something would be lost is
// a warning about now, not a failure.
func (o Outcome) Severity() Severity {
	switch o {
	case Survives, Degraded, Interrupted:
		return OK
	case Undecided:
		return Unknown
	default:
		return Warning
	}
}

// Verdict is what breaks when the sites of Lost go dark together, beside those
// that are dark already.
type Verdict struct {
	Lost         []string      `json:"lost"`
	Outcome      Outcome       `json:"verdict"`      // the worst of the parts
	Why          string        `json:"why"`          // of the worst part
	ControlPlane []PartVerdict `json:"controlPlane"` // by cluster
	Workloads    []PartVerdict `json:"workloads"`    // those it touches, worst first
	Volumes      []PartVerdict `json:"volumes"`      // likewise
	ObjectStore  []PartVerdict `json:"objectStore"`
	// Untouched is how many workloads and volumes do not notice.
	Untouched int `json:"untouched"`
	// Weight is how much all of it hurts together, to compare losses by: the greatest
	// is the weakest link.
	Weight int `json:"weight"`
	// Recovery is until everything that comes back by itself is back; DataLoss the
	// oldest data that would be restored. Seconds; null when there is nothing.
	Recovery *float64 `json:"recoverySeconds"`
	DataLoss *float64 `json:"dataLossSeconds"`
}

// PartVerdict is what becomes of one thing.
type PartVerdict struct {
	Cluster  string   `json:"cluster"`
	Object   string   `json:"object"` // "Deployment/web/blog", "volume/db/data-postgres-0", ...
	Outcome  Outcome  `json:"verdict"`
	Why      string   `json:"why"`
	Recovery *float64 `json:"recoverySeconds"` // until it is back; null when it does not go, or not by itself
	DataLoss *float64 `json:"dataLossSeconds"` // age of what would be restored; null when nothing is lost
	// Of a workload's pods: how many run on, come back elsewhere, wait for a node,
	// cannot end, and are gone or out of reach.
	Stay int `json:"stay,omitempty"`
	Move int `json:"move,omitempty"`
	Pend int `json:"pend,omitempty"`
	Hang int `json:"hang,omitempty"`
	Gone int `json:"gone,omitempty"`
	// Fix is what would help, in words; "" when nothing is known to.
	Fix string `json:"fix,omitempty"`
}

// Fix is one change that would make losses hurt less. Package survive finds it by
// making it on a copy of the World and losing the sites once more.
type Fix struct {
	Cluster string  `json:"cluster"`
	Kind    FixKind `json:"kind"`
	Object  string  `json:"object"` // what is changed: "volume/db/data-postgres-0", ...
	Change  string  `json:"change"` // in words: "keep a copy in flacq, too"
	How     string  `json:"how"`    // what that means to whoever does it
	// Improves and Worsens are what becomes of things that becomes of them otherwise
	// without the change, the worst first.
	Improves []Effect `json:"improves"`
	Worsens  []Effect `json:"worsens"`
}

// Words says what to do; of, where it is for something else, on what.
func (f *Fix) Words(of string) string {
	if f.Object == of {
		return f.Change
	}
	return f.Object + ": " + f.Change
}

// FixKind is what a Fix does.
type FixKind string

// The kinds, from what costs little to what costs a machine.
const (
	FixBackup     FixKind = "backup"     // back a volume up
	FixPolicy     FixKind = "policy"     // have Longhorn free pods of machines that are down
	FixCopy       FixKind = "copy"       // one more copy of a volume, in another site
	FixMoveCopy   FixKind = "moveCopy"   // a copy of a volume, from a site that has two
	FixSpread     FixKind = "spread"     // run a workload's pods in several sites
	FixReplicas   FixKind = "replicas"   // run one pod more, in another site
	FixConstraint FixKind = "constraint" // let a spread constraint give way
	FixSelector   FixKind = "selector"   // let a workload run on other machines
	FixVolume     FixKind = "volume"     // a volume that can be used elsewhere
	FixVoter      FixKind = "voter"      // move or add etcd members
	FixServer     FixKind = "server"     // a server of the object store, in another site
	FixMachine    FixKind = "machine"    // one machine more
)

// Effect is how one thing fares with a Fix.
type Effect struct {
	Lost   []string `json:"lost"`
	Object string   `json:"object"`
	From   Outcome  `json:"from"`
	To     Outcome  `json:"to"`
	// Fewer is how many pods less, or if negative more, are missing.
	Fewer int `json:"fewerMissing,omitempty"`
	// Restorable says that what is lost can be restored with it.
	Restorable bool `json:"restorable,omitempty"`
}

// VerdictSection is one kind of part of a Verdict.
type VerdictSection struct {
	Title string
	Parts []PartVerdict
	// Weight is how much its parts count: what befalls the control plane befalls
	// everything.
	Weight int
}

// Sections are the verdict's parts by kind, what matters most first.
func (v *Verdict) Sections() []VerdictSection {
	return []VerdictSection{{"Control plane", v.ControlPlane, 10}, {"Workloads", v.Workloads, 1}, {"Volumes", v.Volumes, 1}, {"Object store", v.ObjectStore, 3}}
}

// hurts weighs outcomes.
var hurts = [...]int{Survives: 0, Degraded: 10, Interrupted: 20, Undecided: 30, Down: 200, DataLost: 1000}

// Hurt weighs what becomes of the thing. A pod that is missing adds little to that,
// and data that nothing can bring back much.
func (p *PartVerdict) Hurt() int {
	h := hurts[p.Outcome] + min(p.Missing(), 9)
	if p.Outcome == DataLost && p.DataLoss == nil {
		h += hurts[DataLost] / 2
	}
	return h
}

// Together gives the World with one more verdict, on sites lost together.
func (w *World) Together(v *Verdict) *World {
	with := *w
	with.Verdicts = append(slices.Clone(w.Verdicts), v)
	return &with
}

// Weakest gives the loss of one site that hurts most; nil when none does.
func (w *World) Weakest() *Verdict {
	var worst *Verdict
	for _, v := range w.Verdicts {
		if len(v.Lost) == 1 && v.Weight > 0 && (worst == nil || v.Weight > worst.Weight) {
			worst = v
		}
	}
	return worst
}

// Missing is how many of a workload's pods do not come back by themselves.
func (p *PartVerdict) Missing() int { return p.Pend + p.Hang + p.Gone }

// WithVerdicts gives the World with what breaks when each site is lost, which its
// sites then say in a word, and what would help.
func (w *World) WithVerdicts(list []*Verdict, fixes []*Fix) *World {
	with := *w
	with.Fixes = fixes
	with.Verdicts, with.Sites, with.sites = list, nil, map[string]*Site{}
	for _, s := range w.Sites {
		judged := *s
		for _, v := range list {
			if len(v.Lost) == 1 && v.Lost[0] == s.Name {
				judged.Verdict = v.Outcome.String()
			}
		}
		with.Sites = append(with.Sites, &judged)
		with.sites[s.Name] = &judged
	}
	with.judgeVerdicts()
	return &with
}

// Verdict gives what breaks when the site is lost, or nil when nobody asked.
func (w *World) Verdict(site string) *Verdict {
	for _, v := range w.Verdicts {
		if len(v.Lost) == 1 && v.Lost[0] == site {
			return v
		}
	}
	return nil
}

// Count says how many of the parts have the outcome or a worse one.
func Count(parts []PartVerdict, least Outcome) int {
	n := 0
	for i := range parts {
		if parts[i].Outcome >= least {
			n++
		}
	}
	return n
}
