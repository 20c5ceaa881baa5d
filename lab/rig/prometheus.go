package rig

import (
	"context"
	"fmt"
	"maps"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"
)

const prometheusConfig = `global: {scrape_interval: 2s}
scrape_configs:
- job_name: etcd
  static_configs:
`

// StartPrometheus starts a Prometheus that reads the etcd members' metrics, and
// gives its URL.
func (r *Rig) StartPrometheus(ctx context.Context) (string, error) {
	text := strings.Builder{}
	text.WriteString(prometheusConfig)
	at := r.EtcdMetrics()
	for _, node := range slices.Sorted(maps.Keys(at)) {
		u, err := url.Parse(at[node])
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&text, "  - {targets: [%q], labels: {node: %s}}\n", u.Host, node)
	}
	if err := os.WriteFile(r.file("prometheus.yaml"), []byte(text.String()), 0o600); err != nil {
		return "", err
	}
	if err := r.choosePorts("prometheus"); err != nil {
		return "", err
	}
	c, err := r.launch("prometheus", "", r.bin["prometheus"], "--config.file="+r.file("prometheus.yaml"),
		"--storage.tsdb.path="+r.file("prometheus"), "--web.listen-address="+r.address("prometheus"), "--log.level=warn")
	if err != nil {
		return "", err
	}
	base := "http://" + r.address("prometheus")
	return base, c.await(ctx, 30*time.Second, func(ctx context.Context) error { return answers(ctx, base+"/-/ready") })
}
