package output

import (
	"io"
	"slices"
	"strings"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"

	"github.com/geotop/geotop/model"
)

// metrics gathers what a Prometheus may scrape. A figure that nobody could look up is
// no series: a gap alerts, a nought lies.
type metrics struct {
	families []*dto.MetricFamily
	byName   map[string]*dto.MetricFamily
	seen     map[string]bool // samples; one that is there twice spoils the whole scrape
}

// gauge adds one sample; labels are names and values by turns. The help of a metric is
// that of its first sample.
func (m *metrics) gauge(name, help string, value float64, labels ...string) {
	f := m.byName[name]
	if f == nil {
		kind := dto.MetricType_GAUGE
		f = &dto.MetricFamily{Name: &name, Help: &help, Type: &kind}
		m.byName[name] = f
		m.families = append(m.families, f)
	}
	key := name + "\x00" + strings.Join(labels, "\x00")
	if m.seen[key] {
		return
	}
	m.seen[key] = true
	sample := &dto.Metric{Gauge: &dto.Gauge{Value: &value}}
	for i := 0; i+1 < len(labels); i += 2 {
		label, of := labels[i], model.Clean(labels[i+1], 0)
		sample.Label = append(sample.Label, &dto.LabelPair{Name: &label, Value: &of})
	}
	f.Metric = append(f.Metric, sample)
}

// flag is a gauge of 1 or 0.
func (m *metrics) flag(name, help string, on bool, labels ...string) {
	value := 0.0
	if on {
		value = 1
	}
	m.gauge(name, help, value, labels...)
}

// state adds one sample for each state there is, 1 for the one it is in: alerts then
// have a series to compare with before it ever happens.
func (m *metrics) state(name, help string, now string, all []string, labels ...string) {
	if !slices.Contains(all, now) {
		all = append(slices.Clone(all), now)
	}
	for _, s := range all {
		m.flag(name, help, s == now, append(slices.Clone(labels), "state", s)...)
	}
}

// at is a moment, where there is one.
func (m *metrics) at(name, help string, t time.Time, labels ...string) {
	if !t.IsZero() {
		m.gauge(name, help, float64(t.UnixMilli())/1000, labels...)
	}
}

// optional is a figure, where there is one.
func (m *metrics) optional(name, help string, value *float64, labels ...string) {
	if value != nil {
		m.gauge(name, help, *value, labels...)
	}
}

// ratio is a share of a whole, where there is one.
func (m *metrics) ratio(name, help string, part, whole int64, labels ...string) {
	if whole > 0 {
		m.gauge(name, help, float64(part)/float64(whole), labels...)
	}
}

// The states there are, so that each has its series from the first scrape on.
var (
	severities     = names(model.OK, model.Warning, model.Unknown, model.Critical)
	siteStates     = words(model.SiteOK, model.SiteDegraded, model.SiteDark, model.SiteDown, model.SiteUnknown)
	nodeStates     = words(model.NodeReady, model.NodeSilent, model.NodeNotReady, model.NodeUnreachable)
	outcomes       = names(model.Survives, model.Degraded, model.Interrupted, model.Undecided, model.Down, model.DataLost)
	backupStates   = words(model.BackupNone, model.BackupClaimed, model.BackupVerified, model.BackupMissing, model.BackupUnknown, model.BackupUnreadable)
	workloadStates = words(model.WorkloadOK, model.WorkloadStarting, model.WorkloadDegraded, model.WorkloadDown, model.WorkloadFailed, model.WorkloadUnknown)
)

func names[T interface{ String() string }](all ...T) []string {
	list := make([]string, len(all))
	for i, v := range all {
		list[i] = v.String()
	}
	return list
}

func words[T ~string](all ...T) []string {
	list := make([]string, len(all))
	for i, v := range all {
		list[i] = string(v)
	}
	return list
}

// writeProm prints the World in Prometheus' text format.
func writeProm(out io.Writer, w *model.World) error {
	m := &metrics{byName: map[string]*dto.MetricFamily{}, seen: map[string]bool{}}
	m.at("geotop_snapshot_timestamp_seconds", "When this was so, in seconds since 1970.", w.At)
	m.state("geotop_status", "The worst of all findings: 1 for the state it is in.", w.Status.String(), severities)
	for _, s := range severities[1:] {
		n := 0
		for _, r := range w.Reasons {
			if r.Severity.String() == s {
				n++
			}
		}
		m.gauge("geotop_findings", "What needs attention, by severity.", float64(n), "severity", s)
	}
	m.sources(w)
	m.sites(w)
	m.nodes(w)
	m.network(w)
	m.volumes(w)
	for _, wl := range w.Workloads {
		of := []string{"cluster", wl.Cluster, "namespace", wl.Namespace, "kind", wl.Kind, "workload", wl.Name}
		m.state("geotop_workload_state", "How a workload is: 1 for the state it is in.", string(wl.State), workloadStates, of...)
		if w.Knows(model.SourcePods) {
			m.gauge("geotop_workload_pods_desired", "Pods that a workload wants.", float64(wl.Desired), of...)
			m.gauge("geotop_workload_pods_ready", "Pods of a workload that are ready on machines that are alive.", float64(wl.Ready), of...)
		}
	}
	for _, f := range m.families {
		if _, err := expfmt.MetricFamilyToText(out, f); err != nil {
			return err
		}
	}
	return nil
}

func (m *metrics) sources(w *model.World) {
	for _, s := range w.Sources {
		if s.Status == model.SourceAbsent && s.Optional {
			continue
		}
		of := []string{"cluster", s.Cluster, "source", s.Name}
		m.flag("geotop_source_up", "Whether a source answers; 0 as well for one that refuses us.", s.Status == model.SourceOK, of...)
		m.at("geotop_source_observed_timestamp_seconds", "When what a source says was last known to be current.", s.ObservedAt, of...)
	}
}

func (m *metrics) sites(w *model.World) {
	for _, s := range w.Sites {
		of := []string{"site", s.Name}
		m.state("geotop_site_state", "How a site is: 1 for the state it is in.", string(s.Status), siteStates, of...)
		m.gauge("geotop_site_nodes", "Machines of a site.", float64(s.Nodes), of...)
		if !s.Inferred() {
			m.gauge("geotop_site_nodes_ready", "Machines of a site that are ready.", float64(s.Ready), of...)
		}
		m.gauge("geotop_site_nodes_cordoned", "Machines of a site that take no new pods.", float64(s.Cordoned), of...)
		if w.Knows(model.SourcePods) && !s.Inferred() {
			m.gauge("geotop_site_pods", "Pods that belong onto a site's machines.", float64(s.Pods), of...)
			m.gauge("geotop_site_pods_ready", "Those of them that are ready.", float64(s.PodsReady), of...)
		}
		if s.Usage != nil && s.Ready > 0 {
			m.ratio("geotop_site_cpu_used_ratio", "CPU in use, of what the living machines of a site have.", s.Usage.MilliCPU, s.Capacity.MilliCPU, of...)
			m.ratio("geotop_site_memory_used_ratio", "Memory in use, likewise.", s.Usage.MemoryBytes, s.Capacity.MemoryBytes, of...)
		}
		if v := w.Verdict(s.Name); v != nil {
			m.state("geotop_site_lost_outcome", "What would become of things were the site lost, the worst: 1 for that.", v.Outcome.String(), outcomes, of...)
			m.optional("geotop_site_lost_recovery_seconds", "Until all is back that comes back by itself, were the site lost.", v.Recovery, of...)
			m.optional("geotop_site_lost_data_seconds", "Age of the oldest data that would have to be restored, were the site lost.", v.DataLoss, of...)
		}
	}
}

func (m *metrics) nodes(w *model.World) {
	for _, n := range w.Nodes {
		of := []string{"cluster", n.Cluster, "site", n.Site, "node", n.Name}
		m.state("geotop_node_state", "How a machine is: 1 for the state it is in.", string(n.State), nodeStates, of...)
		m.flag("geotop_node_cordoned", "Whether a machine takes no new pods.", n.Unschedulable, of...)
		m.at("geotop_node_heartbeat_timestamp_seconds", "When a machine last gave a sign of life.", n.HeartbeatAt, of...)
		if n.Usage != nil && n.Alive() {
			m.ratio("geotop_node_cpu_used_ratio", "CPU in use, of what a machine has for pods.", n.Usage.MilliCPU, n.Allocatable.MilliCPU, of...)
			m.ratio("geotop_node_memory_used_ratio", "Memory in use, likewise.", n.Usage.MemoryBytes, n.Allocatable.MemoryBytes, of...)
		}
	}
}

func (m *metrics) network(w *model.World) {
	for _, p := range w.Peers {
		of := []string{"site", p.Site, "peer", p.Name}
		if p.Ping != nil {
			m.flag("geotop_peer_answers", "Whether a machine of the tailnet answers our own pings.", p.Answers(), of...)
			if p.Answers() {
				m.gauge("geotop_peer_round_trip_seconds", "Time until it did.", p.Ping.RTT, of...)
			}
		}
		m.at("geotop_peer_key_expiry_timestamp_seconds", "When the key of a machine of the tailnet runs out.", p.KeyExpiry, of...)
	}
	for _, l := range w.Links {
		of := []string{"from", l.From, "to", l.To, "by", l.Source}
		m.flag("geotop_link_up", "Whether anything of a site answers from another.", l.Answering > 0, of...)
		if l.Answering > 0 {
			m.gauge("geotop_link_round_trip_seconds", "Round trip between two sites, of the nearest pair.", l.RTT, of...)
			if l.Path != model.PathUnknown {
				m.flag("geotop_link_direct", "Whether packets go straight, over no relay.", l.Path == model.PathDirect || l.Path == model.PathLocal, of...)
			}
		}
		m.optional("geotop_link_loss_ratio", "Packets lost between two sites.", l.Loss, of...)
	}
}

func (m *metrics) volumes(w *model.World) {
	for _, v := range w.Volumes {
		of := []string{"cluster", v.Cluster, "namespace", v.Namespace, "volume", v.Title()}
		m.gauge("geotop_volume_replicas_wanted", "Copies a volume shall have.", float64(v.Wanted), of...)
		m.gauge("geotop_volume_replicas_healthy", "Copies of it that are in sync, on machines that are alive.", float64(v.Healthy), of...)
		m.gauge("geotop_volume_sites", "Sites that have such a copy.", float64(len(v.Sites)), of...)
		m.state("geotop_volume_backup_state", "How far the newest backup of a volume can be trusted: 1 for the state it is in.", string(v.Backup.State), backupStates, of...)
		m.at("geotop_volume_backup_timestamp_seconds", "The moment that the data of the newest backup are of.", v.Backup.At, of...)
		if p := v.Rebuilding(); p >= 0 {
			m.gauge("geotop_volume_rebuild_ratio", "How far the slowest rebuild of a copy is.", float64(p)/100, of...)
		}
	}
	for _, n := range w.StorageNodes {
		for _, d := range n.Disks {
			of := []string{"cluster", n.Cluster, "node", n.Name, "disk", d.Name}
			m.gauge("geotop_disk_size_bytes", "Size of a disk that Longhorn uses.", float64(d.Max), of...)
			m.gauge("geotop_disk_free_bytes", "What of it is free.", float64(d.Available), of...)
		}
	}
}
