package demo

import (
	"encoding/json"
	"net/http"
	"slices"
	"time"
)

// changeLonghorn does what geotop asks of Longhorn: snapshots, backups, another
// number of copies, one copy less.
func (s *sim) changeLonghorn(r *http.Request, plural string, rest []string) (any, *problem) {
	var body struct {
		Metadata struct {
			Name   string
			Labels map[string]string
		}
		Spec struct {
			Volume, SnapshotName, ReplicaAutoBalance string
			NumberOfReplicas                         int
		}
	}
	if json.NewDecoder(r.Body).Decode(&body) != nil {
		return nil, malformed
	}
	switch {
	case plural == "snapshots" && r.Method == http.MethodPost:
		v := s.volumeNamed(body.Spec.Volume)
		if v == nil {
			return nil, notFound("volume " + body.Spec.Volume)
		}
		v.taken = append(v.taken, &madeBackup{snapshot: body.Metadata.Name, at: s.now().Truncate(time.Second)})
		return map[string]any{}, nil
	case plural == "backups" && r.Method == http.MethodPost:
		return s.askBackup(body.Spec.SnapshotName, body.Metadata.Name)
	case plural == "volumes" && r.Method == http.MethodPatch && len(rest) == 1:
		v := s.volumeNamed(rest[0])
		if v == nil {
			return nil, notFound("volume " + rest[0])
		}
		v.wanted, v.balance = body.Spec.NumberOfReplicas, body.Spec.ReplicaAutoBalance
		s.grow(v)
		return map[string]any{}, nil
	case plural == "replicas" && r.Method == http.MethodDelete && len(rest) == 1:
		for _, v := range s.volumes {
			at := slices.IndexFunc(v.on, func(m *machine) bool { return v.replica(m) == rest[0] })
			if at >= 0 && len(v.on) > 1 {
				delete(v.built, v.on[at])
				v.names[v.on[at]] = ""
				v.on = slices.Delete(slices.Clone(v.on), at, at+1)
				return map[string]any{}, nil
			}
		}
		return nil, notFound("replica " + rest[0])
	default:
		return nil, noSuch
	}
}

func (s *sim) volumeNamed(name string) *diskVolume {
	for _, v := range s.volumes {
		if v.name() == name {
			return v
		}
	}
	return nil
}

// askBackup has the backup of a snapshot made; it is in the bucket by its end.
func (s *sim) askBackup(snapshot, name string) (any, *problem) {
	for _, v := range s.volumes {
		for _, b := range v.taken {
			if b.snapshot == snapshot {
				b.backup, b.asked = name, s.now()
				s.after(backupTakes, func() { s.stored = nil })
				return map[string]any{}, nil
			}
		}
	}
	return nil, notFound("snapshot " + snapshot)
}

// grow adds a copy, as Longhorn places it: in a house without one where there is any.
func (s *sim) grow(v *diskVolume) {
	if len(v.on) >= v.wanted {
		return
	}
	used := map[string]bool{}
	for _, m := range v.on {
		used[m.site] = true
	}
	var best *machine
	for _, m := range s.machines {
		if m.lost || m.cordoned || slices.Contains(v.on, m) {
			continue
		}
		if best == nil || used[best.site] && !used[m.site] {
			best = m
		}
	}
	if best == nil {
		return
	}
	if v.built == nil {
		v.built = map[*machine]time.Time{}
	}
	v.on = append(slices.Clone(v.on), best)
	v.built[best] = s.now().Add(buildTakes)
}
