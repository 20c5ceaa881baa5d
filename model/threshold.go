package model

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Limits that operators may set, by name.
const (
	LimitBackupAge  = "backup-age"
	LimitLinkRTT    = "link-rtt"
	LimitLinkLoss   = "link-loss"
	LimitKeyExpiry  = "key-expiry"
	LimitCPUUsed    = "cpu-used"
	LimitMemoryUsed = "memory-used"
	LimitDiskFree   = "disk-free"
	LimitRecovery   = "recovery"
	LimitDataLoss   = "data-loss"
	LimitVerdict    = "verdict"
)

// Limit describes a limit to whoever documents it.
type Limit struct {
	Name string
	Unit string // "time", "percent" or "verdict"
	Says string // what is measured against it
	// Least says that less is worse, not more.
	Least bool
}

// Limits lists all limits there are.
func Limits() []Limit {
	return []Limit{
		{LimitBackupAge, "time", "age of a volume's newest backup", false},
		{LimitLinkRTT, "time", "round trip between two sites", false},
		{LimitLinkLoss, "percent", "packets lost between two sites", false},
		{LimitKeyExpiry, "time", "until the tailnet key of a machine runs out", true},
		{LimitCPUUsed, "percent", "CPU in use on a machine, of what it has for pods", false},
		{LimitMemoryUsed, "percent", "memory in use on a machine, of what it has for pods", false},
		{LimitDiskFree, "percent", "what is free of a disk that Longhorn uses", true},
		{LimitRecovery, "time", "until all is back that comes back by itself, were a site lost", false},
		{LimitDataLoss, "time", "age of the oldest data that would have to be restored, were a site lost", false},
		{LimitVerdict, "verdict", "the worst that comes of the loss of one site", false},
	}
}

// Threshold is from where on something is a finding: seconds, shares of one, or an
// Outcome. Critical may be left out.
type Threshold struct {
	Warning  float64
	Critical *float64
}

// Thresholds are those an operator set, by the Limit's name.
type Thresholds map[string]Threshold

// ParseThreshold reads "name=warning" or "name=warning/critical", such as
// "backup-age=26h/3d", "disk-free=15%/5%" or "verdict=down/lost".
func ParseThreshold(text string) (name string, t Threshold, err error) {
	name, value, found := strings.Cut(text, "=")
	limits := Limits()
	at := slices.IndexFunc(limits, func(l Limit) bool { return l.Name == name })
	switch {
	case at < 0:
		names := make([]string, len(limits))
		for i, l := range limits {
			names[i] = l.Name
		}
		return "", t, fmt.Errorf("no limit %q; there are %s", name, strings.Join(names, ", "))
	case !found:
		return "", t, fmt.Errorf("%s has no value: %s=WARNING or %s=WARNING/CRITICAL", name, name, name)
	}
	limit := limits[at]
	warning, critical, both := strings.Cut(value, "/")
	if t.Warning, err = limit.parse(warning); err != nil {
		return "", t, fmt.Errorf("%s: %w", name, err)
	}
	if both {
		c, err := limit.parse(critical)
		if err != nil {
			return "", t, fmt.Errorf("%s: %w", name, err)
		}
		if limit.Least && c > t.Warning || !limit.Least && c < t.Warning {
			return "", t, fmt.Errorf("%s: %s is reached before %s: the critical one comes second", name, critical, warning)
		}
		t.Critical = &c
	}
	return name, t, nil
}

func (l Limit) parse(text string) (float64, error) {
	text = strings.TrimSpace(text)
	switch l.Unit {
	case "time":
		d, err := parseSpan(text)
		if err != nil || d < 0 {
			return 0, fmt.Errorf("%q is no time such as 300ms, 15m, 26h or 3d", text)
		}
		return d.Seconds(), nil
	case "percent":
		n, err := strconv.ParseFloat(strings.TrimSuffix(text, "%"), 64)
		if err != nil || !(n >= 0 && n <= 100) {
			return 0, fmt.Errorf("%q is no percentage such as 15%%", text)
		}
		return n / 100, nil
	default:
		var o Outcome
		if err := o.UnmarshalText([]byte(text)); err != nil {
			return 0, fmt.Errorf("%q is none of %s", text, strings.Join(outcomeNames[:], ", "))
		}
		return float64(o), nil
	}
}

// parseSpan is time.ParseDuration with days.
func parseSpan(text string) (time.Duration, error) {
	if days, is := strings.CutSuffix(text, "d"); is {
		n, err := strconv.ParseFloat(days, 64)
		if err != nil || n < 0 || n > 36500 {
			return 0, fmt.Errorf("no number of days: %q", text)
		}
		return time.Duration(n * 24 * float64(time.Hour)), nil
	}
	return time.ParseDuration(text)
}

// judge ranks a figure by the limit of that name, OK where none is set.
func (t Thresholds) judge(name string, value float64) Severity {
	limit, set := t[name]
	if !set {
		return OK
	}
	beyond := func(at float64) bool { return value >= at }
	if name == LimitKeyExpiry || name == LimitDiskFree {
		beyond = func(at float64) bool { return value <= at }
	}
	switch {
	case limit.Critical != nil && beyond(*limit.Critical):
		return Critical
	case beyond(limit.Warning):
		return Warning
	default:
		return OK
	}
}

// limited adds a finding where the figure is beyond the limit of that name.
func (w *World) limited(name string, value float64, cluster, site, object, text string) {
	if sev := w.limits.judge(name, value); sev > OK {
		w.reason(sev, cluster, site, object, text)
	}
}

// judgeLimits reports what is beyond the operator's limits, but for those on verdicts.
func (w *World) judgeLimits() {
	if len(w.limits) == 0 {
		return
	}
	for _, v := range w.Volumes {
		if at := v.Backup.At; !at.IsZero() {
			w.limited(LimitBackupAge, w.At.Sub(at).Seconds(), v.Cluster, v.Site, v.Object(), "its newest backup is "+Ago(w.At.Sub(at))+" old")
		}
	}
	w.limitNetwork()
	for _, n := range w.Nodes {
		if n.Usage == nil || !n.Alive() {
			continue
		}
		w.limitLoad(LimitCPUUsed, "of its CPU is in use", n, n.Usage.MilliCPU, n.Allocatable.MilliCPU)
		w.limitLoad(LimitMemoryUsed, "of its memory is in use", n, n.Usage.MemoryBytes, n.Allocatable.MemoryBytes)
	}
	for _, s := range w.StorageNodes {
		n := w.Node(s.Cluster, s.Name)
		for _, d := range s.Disks {
			if d.Max <= 0 || n == nil {
				continue
			}
			free := float64(d.Available) / float64(d.Max)
			w.limited(LimitDiskFree, free, s.Cluster, n.Site, "storage/"+s.Name, fmt.Sprintf("%.0f%% of its disk %s is free", free*100, cmp.Or(d.Name, d.Path)))
		}
	}
}

func (w *World) limitNetwork() {
	for _, l := range w.Links {
		object := "link/" + l.From + "/" + l.To
		if l.Answering > 0 {
			w.limited(LimitLinkRTT, l.RTT, "", l.To, object, fmt.Sprintf("its round trip is %.0f ms by %s", l.RTT*1000, l.Source))
		}
		if l.Answering > 0 && l.Loss != nil {
			w.limited(LimitLinkLoss, *l.Loss, "", l.To, object, fmt.Sprintf("it loses %.0f%% by %s", *l.Loss*100, l.Source))
		}
	}
	for _, p := range w.Peers {
		if p.Node != "" && !p.KeyExpiry.IsZero() {
			left := p.KeyExpiry.Sub(w.At)
			if sev := w.limits.judge(LimitKeyExpiry, left.Seconds()); sev > Warning || sev == Warning && left > expirySoon {
				w.reason(sev, p.Cluster, p.Site, "peer/"+p.Node, "its tailnet key expires in "+Ago(max(0, left)))
			}
		}
	}
}

func (w *World) limitLoad(name, text string, n *Node, used, all int64) {
	if all > 0 {
		share := float64(used) / float64(all)
		w.limited(name, share, n.Cluster, n.Site, "node/"+n.Name, fmt.Sprintf("%.0f%% %s", share*100, text))
	}
}

// judgeVerdicts reports what is beyond the operator's limits on the loss of one site.
func (w *World) judgeVerdicts() {
	if len(w.limits) == 0 {
		return
	}
	before := len(w.Reasons)
	w.Reasons = slices.Clone(w.Reasons)
	for _, v := range w.Verdicts {
		if len(v.Lost) != 1 {
			continue
		}
		site := v.Lost[0]
		w.limited(LimitVerdict, float64(v.Outcome), "", site, "site/"+site, "were it lost: "+v.Outcome.String()+": "+v.Why)
		if v.Recovery != nil {
			w.limited(LimitRecovery, *v.Recovery, "", site, "site/"+site, "were it lost, all that comes back by itself would be back after "+Ago(duration(*v.Recovery)))
		}
		if v.DataLoss != nil {
			w.limited(LimitDataLoss, *v.DataLoss, "", site, "site/"+site, "were it lost, data "+Ago(duration(*v.DataLoss))+" old would have to be restored")
		}
	}
	if len(w.Reasons) > before {
		w.rank()
	}
}
