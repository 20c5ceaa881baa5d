package demo

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// betweenPods is how long a rollout of the demo takes for each pod.
const betweenPods = 4 * time.Second

// patchWorkload scales a workload, or has its pods made anew.
func (s *sim) patchWorkload(r *http.Request, namespace, of string) (any, *problem) {
	w := s.workloadNamed(namespace, of)
	if w == nil {
		return nil, notFound("workload " + namespace + "/" + of)
	}
	var patch struct {
		Spec struct {
			Replicas *int
			Template *struct{}
		}
	}
	if json.NewDecoder(r.Body).Decode(&patch) != nil {
		return nil, malformed
	}
	switch {
	case patch.Spec.Replicas != nil:
		w.replicas = *patch.Spec.Replicas
		for _, p := range w.pods {
			if p.place >= w.replicas {
				s.end(p)
			}
		}
		s.reconcile()
	case patch.Spec.Template != nil:
		w.rolled = s.now()
		s.counts()
		for i, p := range w.pods {
			s.after(time.Duration(i)*betweenPods, func() { s.end(p) })
		}
	}
	return thing{}, nil
}

func (s *sim) workloadNamed(namespace, of string) *workload {
	for _, w := range s.workloads {
		if w.namespace == namespace && w.name == of {
			return w
		}
	}
	return nil
}

// scaleOf answers what a workload's scale is.
func (a *api) scaleOf(w http.ResponseWriter, namespace, of string) {
	s := a.demo.sim
	s.mu.Lock()
	found := s.workloadNamed(namespace, of)
	n := 0
	if found != nil {
		n = found.replicas
	}
	s.mu.Unlock()
	if found == nil {
		a.fail(w, negotiate(""), http.StatusNotFound, "NotFound", "workload "+namespace+"/"+of+" not found")
		return
	}
	a.json(w, thing{"metadata": thing{"name": of, "namespace": namespace}, "spec": thing{"replicas": n}})
}

// restoredVolume is a volume that was made from a backup; nothing uses it.
type restoredVolume struct {
	name, from       string
	labels           map[string]string
	size             int64
	copies           int
	at               time.Time
	namespace, claim string
}

// restoreTakes is how long the data of a backup take to be there.
const restoreTakes = 10 * time.Second

// restore makes a volume from a backup.
func (s *sim) restore(r *http.Request) (any, *problem) {
	w, p := readWish(r)
	if p != nil {
		return nil, p
	}
	name, from := w.Metadata.Name, w.Spec.FromBackup
	if s.volumeNamed(name) != nil || s.restored[name] != nil {
		return nil, &problem{http.StatusConflict, "AlreadyExists", "volume " + name + " already exists"}
	}
	size := 8 * gib
	for _, v := range s.volumes {
		if strings.HasPrefix(from, v.url("")) {
			size = v.size
		}
	}
	if s.restored == nil {
		s.restored = map[string]*restoredVolume{}
	}
	s.restored[name] = &restoredVolume{name: name, from: from, copies: w.Spec.NumberOfReplicas, labels: w.Metadata.Labels, size: size, at: s.now()}
	return thing{}, nil
}

func (s *sim) dropRestored(name string) (any, *problem) {
	if s.restored[name] == nil {
		return nil, notFound("volume " + name)
	}
	delete(s.restored, name)
	return thing{}, nil
}

// url is where a backup of the volume is.
func (v *diskVolume) url(backup string) string {
	return "s3://" + bucketName + "@us-east-1/?volume=" + v.name() + "&backup=" + backup
}

// put shows the volume as Longhorn does: attached while it is filled.
func (v *restoredVolume) put(plural string, now time.Time, put put) {
	done := int(100 * now.Sub(v.at) / restoreTakes)
	labels := map[string]string{"longhornvolume": v.name}
	spec := thing{"size": fmt.Sprint(v.size), "numberOfReplicas": v.copies, "accessMode": "rwo", "dataEngine": "v1", "backupTargetName": "default", "fromBackup": v.from}
	status := thing{"state": "attached", "robustness": "healthy", "restoreInitiated": true, "restoreRequired": true}
	if done >= 100 {
		status = thing{"state": "detached", "robustness": "unknown", "restoreInitiated": true, "restoreRequired": false, "actualSize": v.size / 2}
		if v.claim != "" {
			status["kubernetesStatus"] = thing{"pvName": v.name, "namespace": v.namespace, "pvcName": v.claim}
		}
	}
	switch {
	case plural == "volumes":
		put(v.name, v.labels, thing{"spec": spec, "status": status})
	case plural == "engines" && done < 100:
		put(v.name+"-e-0", labels, thing{"spec": thing{"volumeName": v.name}, "status": thing{"currentState": "running", "restoreStatus": thing{"tcp://10.42.0.9:10000": thing{"isRestoring": true, "progress": done}}}})
	}
}

// putClaim makes the PersistentVolume of a restored volume, or in a namespace the claim
// that is bound to it.
func (s *sim) putClaim(r *http.Request, namespace string) (any, *problem) {
	w, p := readWish(r)
	if p != nil {
		return nil, p
	}
	v := s.restored[w.Metadata.Name]
	switch {
	case v == nil:
		return nil, malformed
	case namespace != "":
		v.namespace, v.claim = namespace, v.name
		s.persist(v.name, namespace, v.name, "", "driver.longhorn.io", "")
	}
	return thing{}, nil
}
