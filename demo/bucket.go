package demo

import (
	"crypto/sha512"
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	bucketName   = "backups"
	bucketSecret = "backup-credentials"
)

// Bucket reaches the simulated MinIO that holds the backups, one server in each
// house. It goes on when the Kubernetes API is gone.
func (d *Demo) Bucket() http.RoundTripper {
	return &transport{handler: &s3{d}, gone: make(chan struct{})}
}

// s3 answers as MinIO does, as far as reading goes.
type s3 struct{ demo *Demo }

// stored is a file in the bucket.
type stored struct {
	body []byte
	at   time.Time
}

func (o stored) etag() string { return fmt.Sprintf("%016x", hash("etag", string(o.body))) }

func (s *s3) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	now := s.demo.Now()
	s.demo.sim.mu.Lock()
	defer s.demo.sim.mu.Unlock()
	w.Header().Set("Server", "MinIO")
	bucket, key, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	switch {
	case key == "admin/v3/info":
		s.info(w, now)
	case bucket == "minio":
		s.health(w, r, key)
	case bucket != bucketName:
		http.Error(w, "<Error><Code>NoSuchBucket</Code></Error>", http.StatusNotFound)
	case key == "" && r.URL.Query().Has("versioning"):
		_, _ = w.Write([]byte("<VersioningConfiguration/>"))
	case key == "" && r.URL.Query().Has("lifecycle"):
		http.Error(w, "<Error><Code>NoSuchLifecycleConfiguration</Code></Error>", http.StatusNotFound)
	case key == "":
		s.list(w, r, now)
	default:
		s.read(w, r, key, now)
	}
}

// server is one of MinIO's, with one drive.
type server struct {
	name, endpoint string
	up             bool
}

// servers are the pods of MinIO.
func (s *sim) servers() []server {
	list := []server{}
	for _, w := range s.workloads {
		if w.name != "minio" {
			continue
		}
		for _, p := range w.pods {
			list = append(list, server{p.name, p.name + ".minio-headless.minio.svc.cluster.local:9000", p.node != nil && p.node.alive && p.ready})
		}
	}
	slices.SortFunc(list, func(a, b server) int { return strings.Compare(a.name, b.name) })
	return list
}

// health answers for all drives, of which a majority must be there; for
// maintenance, without the one of the server that is asked.
func (s *s3) health(w http.ResponseWriter, r *http.Request, path string) {
	up, servers, missing := 0, s.demo.sim.servers(), http.StatusServiceUnavailable
	for _, m := range servers {
		if m.up {
			up++
		}
	}
	if r.FormValue("maintenance") == "true" {
		up--
		missing = http.StatusPreconditionFailed
	}
	quorum := len(servers)/2 + 1
	w.Header().Set("X-Minio-Write-Quorum", strconv.Itoa(quorum))
	w.Header().Set("X-Minio-Read-Quorum", strconv.Itoa(quorum))
	if path != "health/live" && up < quorum {
		w.WriteHeader(missing)
	}
}

// info answers as MinIO's admin API does.
func (s *s3) info(w http.ResponseWriter, now time.Time) {
	servers := []map[string]any{}
	for i, m := range s.demo.sim.servers() {
		drive := map[string]any{"state": "offline"}
		state := "offline"
		if m.up {
			state = "online"
			drive = map[string]any{"path": "/export", "state": "ok", "totalspace": 400 * gib, "availspace": int64(260-20*i) * gib}
		}
		servers = append(servers, map[string]any{
			"state": state, "endpoint": m.endpoint, "version": "2025-10-15T17:29:55Z", "uptime": int(now.Sub(start).Hours()+900) * 3600, "drives": []any{drive},
		})
	}
	writeJSON(w, map[string]any{"mode": "online", "backend": map[string]any{"standardSCParity": 1}, "servers": servers})
}

func (s *s3) list(w http.ResponseWriter, r *http.Request, now time.Time) {
	type content struct {
		Key, LastModified, ETag string
		Size                    int
	}
	answer := struct {
		XMLName     xml.Name `xml:"ListBucketResult"`
		Name        string
		Prefix      string
		KeyCount    int
		IsTruncated bool
		Next        string `xml:"NextContinuationToken,omitempty"`
		Contents    []content
	}{Name: bucketName, Prefix: r.FormValue("prefix")}
	objects := s.demo.sim.bucket(now)
	most, err := strconv.Atoi(r.FormValue("max-keys"))
	if err != nil {
		most = 1000
	}
	after := max(r.FormValue("start-after"), r.FormValue("continuation-token"))
	for _, key := range slices.Sorted(maps.Keys(objects)) {
		if !strings.HasPrefix(key, answer.Prefix) || key <= after {
			continue
		}
		if len(answer.Contents) == most {
			answer.IsTruncated, answer.Next = true, answer.Contents[most-1].Key
			break
		}
		o := objects[key]
		answer.Contents = append(answer.Contents, content{key, o.at.UTC().Format(time.RFC3339), `"` + o.etag() + `"`, len(o.body)})
	}
	answer.KeyCount = len(answer.Contents)
	w.Header().Set("Content-Type", "application/xml")
	_ = xml.NewEncoder(w).Encode(answer)
}

func (s *s3) read(w http.ResponseWriter, r *http.Request, key string, now time.Time) {
	o, ok := s.demo.sim.bucket(now)[key]
	h := w.Header()
	if !ok {
		h.Set("Content-Type", "application/xml")
		h.Set("X-Minio-Error-Code", "NoSuchKey")
		w.WriteHeader(http.StatusNotFound)
		if r.Method != http.MethodHead {
			fmt.Fprintf(w, "<Error><Code>NoSuchKey</Code><Key>%s</Key></Error>", key)
		}
		return
	}
	h.Set("ETag", `"`+o.etag()+`"`)
	h.Set("Last-Modified", o.at.UTC().Format(http.TimeFormat))
	h.Set("Content-Type", "application/octet-stream")
	h.Set("Content-Length", strconv.Itoa(len(o.body)))
	if r.Method == http.MethodHead {
		return
	}
	if r.Header.Get("Range") != "" { // always from the first byte, and further than ours are long
		h.Set("Content-Range", fmt.Sprintf("bytes 0-%d/%d", len(o.body)-1, len(o.body)))
		w.WriteHeader(http.StatusPartialContent)
	}
	_, _ = w.Write(o.body)
}

// bucket is every object there is, by key. Its volumes' blocks are left out: what
// looks for backups does not list them.
func (s *sim) bucket(now time.Time) map[string]stored {
	last := nights(now)[0]
	if s.stored != nil && s.storedAt.Equal(last) { // it changes once a night
		return s.stored
	}
	all := map[string]stored{}
	s.stored, s.storedAt = all, last
	for _, v := range s.volumes {
		if v.backups == "never" && len(v.taken) == 0 {
			continue
		}
		sum := sha512.Sum512([]byte(v.name()))
		h := hex.EncodeToString(sum[:2])
		folder := "backupstore/volumes/" + h[:2] + "/" + h[2:] + "/" + v.name() + "/"
		last := time.Time{}
		for i, at := range nights(now) {
			if v.failed(i) || v.backups == "missing" && i == 0 || v.backups == "never" || s.dropped[v.backupName(at)] {
				continue
			}
			done := at.Add(4 * time.Minute)
			if last.IsZero() {
				last = done
			}
			all[folder+"backups/backup_"+v.backupName(at)+".cfg"] = stored{fmt.Appendf(nil,
				`{"Name":%q,"VolumeName":%q,"SnapshotName":"nightly","SnapshotCreatedAt":%q,"CreatedTime":%q,"Size":"%d"}`,
				v.backupName(at), v.name(), at.Format(time.RFC3339), done.Format(time.RFC3339), v.size/2), done}
		}
		for _, b := range v.taken {
			if done := b.asked.Add(backupTakes); !b.asked.IsZero() && !now.Before(done) && !s.dropped[b.backup] {
				last = done
				all[folder+"backups/backup_"+b.backup+".cfg"] = stored{fmt.Appendf(nil,
					`{"Name":%q,"VolumeName":%q,"SnapshotName":%q,"SnapshotCreatedAt":%q,"CreatedTime":%q,"Size":"%d"}`,
					b.backup, v.name(), b.snapshot, b.at.Format(time.RFC3339), done.Format(time.RFC3339), v.size/2), done}
			}
		}
		all[folder+"volume.cfg"] = stored{fmt.Appendf(nil, `{"Name":%q,"Size":"%d"}`, v.name(), v.size), last}
	}
	return all
}
