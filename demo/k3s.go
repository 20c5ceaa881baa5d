package demo

import (
	"fmt"
	"time"
)

// k3s takes a snapshot of etcd on every server at noon and midnight and keeps five.
const (
	snapshotEvery = 12 * time.Hour
	snapshotsKept = 5
)

// putK3s puts the etcd snapshots that the servers have taken.
func (s *sim) putK3s(plural string, now time.Time, put put) {
	if plural != "etcdsnapshotfiles" {
		return
	}
	for _, m := range s.machines {
		if !m.server {
			continue
		}
		last := now
		if !m.alive {
			last = m.offAt
		}
		for i := range snapshotsKept {
			at := last.Truncate(snapshotEvery).Add(-time.Duration(i) * snapshotEvery)
			name := fmt.Sprintf("etcd-snapshot-%s-%d", m.name, at.Unix())
			put("local-"+name, nil, thing{
				"spec":   thing{"snapshotName": name, "nodeName": m.name, "location": "file:///var/lib/rancher/k3s/server/db/snapshots/" + name},
				"status": thing{"creationTime": at.Format(time.RFC3339), "readyToUse": true, "size": fmt.Sprintf("%dKi", 23000+s.chance(900, "etcd", name))},
			})
		}
	}
}
