package output

import (
	"bytes"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	promodel "github.com/prometheus/common/model"

	"github.com/geotop/geotop/internal/golden"
	"github.com/geotop/geotop/model"
)

// scraped reads what -o prom prints as a Prometheus does.
func scraped(t *testing.T, w *model.World) map[string]*dto.MetricFamily {
	t.Helper()
	text := printed(t, w, "prom", Options{})
	parser := expfmt.NewTextParser(promodel.LegacyValidation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return families
}

// value gives a sample with all of the labels, name and value by turns; found is false
// where there is none.
func value(families map[string]*dto.MetricFamily, name string, labels ...string) (v float64, found bool) {
	for _, m := range families[name].GetMetric() {
		has := true
		for i := 0; i < len(labels); i += 2 {
			has = has && slices.ContainsFunc(m.GetLabel(), func(l *dto.LabelPair) bool { return l.GetName() == labels[i] && l.GetValue() == labels[i+1] })
		}
		if has {
			return m.GetGauge().GetValue(), true
		}
	}
	return 0, false
}

func TestMetrics(t *testing.T) {
	for scenario, after := range map[string]time.Duration{"powercut": 3 * time.Minute, "weak": 0, "healthy": 0, "quorum": 2 * time.Minute, "rebuild": time.Minute, "split": time.Minute} {
		w := world(t, scenario, after)
		families := scraped(t, w)
		for name, f := range families {
			seen := map[string]bool{}
			for _, m := range f.GetMetric() {
				key := ""
				for _, l := range m.GetLabel() {
					key += l.GetName() + "=" + l.GetValue() + ";"
				}
				if seen[key] {
					t.Errorf("%s: %s twice: %s", scenario, name, key)
				}
				seen[key] = true
			}
			if !strings.HasPrefix(name, "geotop_") || !strings.HasSuffix(f.GetHelp(), ".") {
				t.Errorf("%s: %q", name, f.GetHelp())
			}
		}
		if v, found := value(families, "geotop_status", "state", w.Status.String()); !found || v != 1 {
			t.Errorf("%s: geotop_status of %s is %v", scenario, w.Status, v)
		}
		if n := len(families["geotop_node_state"].GetMetric()); n != 4*len(w.Nodes) {
			t.Errorf("%s: %d samples of %d nodes' state", scenario, n, len(w.Nodes))
		}
	}
}

func TestMetricsSay(t *testing.T) {
	dark := scraped(t, world(t, "powercut", 3*time.Minute))
	lost := scraped(t, world(t, "quorum", 2*time.Minute))
	for _, c := range []struct {
		of     map[string]*dto.MetricFamily
		name   string
		labels []string
		want   float64
	}{
		{dark, "geotop_site_state", []string{"site", "curepipe", "state", "dark"}, 1},
		{dark, "geotop_site_state", []string{"site", "curepipe", "state", "ok"}, 0},
		{dark, "geotop_site_nodes_ready", []string{"site", "curepipe"}, 0},
		{dark, "geotop_site_lost_outcome", []string{"site", "moka", "state", "lost"}, 1},
		{dark, "geotop_link_up", []string{"from", "flacq", "to", "curepipe", "by", "ping"}, 0},
		{dark, "geotop_source_up", []string{"source", "kube"}, 1},
		{lost, "geotop_source_up", []string{"source", "kube"}, 0},
	} {
		if v, found := value(c.of, c.name, c.labels...); !found || v != c.want {
			t.Errorf("%s%v is %v (found: %v), not %v", c.name, c.labels, v, found, c.want)
		}
	}
	for _, c := range []struct {
		of     map[string]*dto.MetricFamily
		name   string
		labels []string
	}{
		{dark, "geotop_node_cpu_used_ratio", []string{"site", "curepipe"}},
		{dark, "geotop_link_round_trip_seconds", []string{"to", "curepipe", "by", "ping"}},
		{lost, "geotop_site_nodes_ready", nil},
	} {
		if v, found := value(c.of, c.name, c.labels...); found {
			t.Errorf("nobody knows %s%v, yet it is %v", c.name, c.labels, v)
		}
	}
}

// Units stand in names, as Prometheus' own rules want it.
func TestMetricsHaveUnits(t *testing.T) {
	units := []string{"_timestamp_seconds", "_seconds", "_ratio", "_bytes"}
	for name, f := range scraped(t, world(t, "weak", 0)) {
		has := slices.ContainsFunc(units, func(u string) bool { return strings.HasSuffix(name, u) })
		for _, m := range f.GetMetric() {
			if v := m.GetGauge().GetValue(); !has && v != float64(int(v)) {
				t.Errorf("%s has no unit and is %v", name, v)
			}
		}
	}
}

func TestGoldenMetrics(t *testing.T) {
	golden.Equal(t, filepath.Join("testdata", "golden", "powercut-prom.txt"), printed(t, world(t, "powercut", 3*time.Minute), "prom", Options{}))
}

func TestHostileNamesInMetrics(t *testing.T) {
	w := *world(t, "healthy", 0)
	site := *w.Sites[0]
	site.Name = "a\"b\\c\nd\x1b[31m\xff"
	w.Sites = []*model.Site{&site, &site}
	var b bytes.Buffer
	if err := writeProm(&b, &w); err != nil {
		t.Fatal(err)
	}
	if bytes.ContainsAny(b.Bytes(), "\x1b\xff") {
		t.Error("control characters")
	}
	parser := expfmt.NewTextParser(promodel.LegacyValidation)
	if _, err := parser.TextToMetricFamilies(&b); err != nil {
		t.Error(err)
	}
}
