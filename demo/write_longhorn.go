package demo

import (
	"encoding/json"
	"net/http"
	"slices"
	"time"
)

// wish is what geotop asks of one of Longhorn's objects.
type wish struct {
	Metadata struct {
		Name   string
		Labels map[string]string
	}
	Spec struct {
		Volume, SnapshotName, ReplicaAutoBalance, FromBackup string
		NumberOfReplicas                                     int
	}
}

func readWish(r *http.Request) (w wish, p *problem) {
	if json.NewDecoder(r.Body).Decode(&w) != nil {
		return w, malformed
	}
	return w, nil
}

func (s *sim) takeSnapshot(r *http.Request) (any, *problem) {
	w, p := readWish(r)
	if p != nil {
		return nil, p
	}
	v := s.volumeNamed(w.Spec.Volume)
	if v == nil {
		return nil, notFound("volume " + w.Spec.Volume)
	}
	v.taken = append(v.taken, &madeBackup{snapshot: w.Metadata.Name, at: s.now().Truncate(time.Second)})
	return thing{}, nil
}

// patchVolume sets how many copies a volume is to have.
func (s *sim) patchVolume(r *http.Request, name string) (any, *problem) {
	w, p := readWish(r)
	if p != nil {
		return nil, p
	}
	v := s.volumeNamed(name)
	if v == nil {
		return nil, notFound("volume " + name)
	}
	v.wanted, v.balance = w.Spec.NumberOfReplicas, w.Spec.ReplicaAutoBalance
	s.grow(v)
	return thing{}, nil
}

func (s *sim) dropReplica(name string) (any, *problem) {
	for _, v := range s.volumes {
		at := slices.IndexFunc(v.on, func(m *machine) bool { return v.replica(m) == name })
		if at >= 0 && len(v.on) > 1 {
			delete(v.built, v.on[at])
			v.names[v.on[at]] = ""
			v.on = slices.Delete(slices.Clone(v.on), at, at+1)
			return thing{}, nil
		}
	}
	return nil, notFound("replica " + name)
}

// dropBackup deletes a backup, in the bucket too.
func (s *sim) dropBackup(name string) (any, *problem) {
	if s.dropped == nil {
		s.dropped = map[string]bool{}
	}
	s.dropped[name], s.stored = true, nil
	return thing{}, nil
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
func (s *sim) askBackup(r *http.Request) (any, *problem) {
	w, p := readWish(r)
	if p != nil {
		return nil, p
	}
	snapshot, name := w.Spec.SnapshotName, w.Metadata.Name
	for _, v := range s.volumes {
		for _, b := range v.taken {
			if b.snapshot == snapshot {
				b.backup, b.asked = name, s.now()
				s.after(backupTakes, func() { s.stored = nil })
				return thing{}, nil
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
