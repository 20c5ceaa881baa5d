// Package memory keeps the last known state of a cluster on disk, so that a
// start during an outage shows at once what was, with its age, and knows where
// else the API may be reached.
package memory

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/geotop/geotop/model"
)

const (
	saveEvery = time.Minute
	// leisure bounds what saving costs: after a save that took t, the next comes
	// no sooner than leisure times t later.
	leisure   = 1000
	maxBytes  = 32 << 20 // of a file, compressed
	maxPlain  = 512 << 20
	maxStates = 20 // files kept of each sort, the newest
	maxPods   = 5000
)

// Memory remembers one cluster. It is a collectors.Collector, to be the last of
// its set: it fills in what the others have no answer to yet.
type Memory struct {
	path   string
	now    func() time.Time
	before model.Facts

	mu    sync.Mutex
	last  model.Facts // complete ones, newest
	fresh bool        // last differs from what is on disk
}

// Dir is where states are kept: $XDG_STATE_HOME/geotop, or ~/.local/state/geotop.
func Dir() (string, error) {
	if d := os.Getenv("XDG_STATE_HOME"); filepath.IsAbs(d) {
		return filepath.Join(d, "geotop"), nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", err
	}
	return filepath.Join(home, ".local", "state", "geotop"), nil
}

// Open reads what is remembered of a cluster, by its name and its server in the
// kubeconfig. Nothing remembered, or nothing that can be read, is no failure:
// the Memory then starts empty and err says why, for whoever wants to know.
func Open(dir, cluster, server string, now func() time.Time) (m *Memory, err error) {
	m = &Memory{path: file(dir, cluster, server) + stateSuffix, now: now}
	m.before, err = read(m.path)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return m, err
}

// Files are told apart by what they end in.
const (
	stateSuffix    = ".json.gz"
	timelineSuffix = ".timeline.gz"
)

// file is what the names of a cluster's files begin with.
func file(dir, cluster, server string) string {
	sum := sha256.Sum256([]byte(cluster + "\x00" + server))
	name := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '-' || r == '.' {
			return r
		}
		return '-'
	}, strings.ToLower(cluster))
	return filepath.Join(dir, name[:min(len(name), 40)]+"-"+hex.EncodeToString(sum[:6]))
}

func read(path string) (model.Facts, error) {
	var f model.Facts
	err := unpack(path, func(r io.Reader) (err error) {
		f, _, err = model.Read(r)
		return err
	})
	return f, err
}

// unpack has a file read, as far as files of ours go.
func unpack(path string, into func(io.Reader) error) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	z, err := gzip.NewReader(file)
	if err == nil {
		err = into(io.LimitReader(z, maxPlain))
	}
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// Servers lists where the cluster's API servers were: host:port.
func (m *Memory) Servers() []string {
	list := []string{}
	for _, c := range m.before.Clusters {
		for _, s := range c.APIServers.Items {
			list = append(list, net.JoinHostPort(s.Address, strconv.Itoa(s.Port)))
		}
		for _, n := range c.Nodes.Items {
			list = append(list, n.ServerAddresses()...)
		}
	}
	return list
}

// Facts fills in what is remembered, and takes note of what is new.
func (m *Memory) Facts(f *model.Facts) {
	if f.Complete() {
		m.mu.Lock()
		m.last, m.fresh = model.Facts{Clusters: bounded(f.Clusters), Stores: m.stores(f.Stores)}, true
		m.mu.Unlock()
		return
	}
	f.Recall(m.before)
}

// bounded leaves out the pods of clusters that have very many: writing them takes
// more memory than all the rest of geotop. Nodes, volumes and stores stay.
func bounded(clusters []model.ClusterFacts) []model.ClusterFacts {
	kept := slices.Clone(clusters)
	for i := range kept {
		if c := &kept[i]; len(c.Pods.Items) > maxPods {
			c.Pods, c.Controllers = model.Section[model.Pod]{}, nil
		}
	}
	return kept
}

// stores are those that were looked into, now or the last time.
func (m *Memory) stores(live []model.StoreFacts) []model.StoreFacts {
	kept := []model.StoreFacts{}
	for _, s := range live {
		for _, old := range slices.Concat(m.last.Stores, m.before.Stores) {
			if s.Source.ObservedAt.IsZero() && old.Cluster == s.Cluster && old.Target == s.Target {
				s = old
			}
		}
		if !s.Source.ObservedAt.IsZero() {
			kept = append(kept, s)
		}
	}
	return kept
}

// Run saves now and then, and once more at the end, until ctx ends. That a save
// fails harms nothing but the next start during an outage.
func (m *Memory) Run(ctx context.Context, _ func()) {
	timer := time.NewTimer(saveEvery / 4)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			if info, err := os.Stat(m.path); err != nil || time.Since(info.ModTime()) > saveEvery {
				_ = m.save()
			}
			return
		case <-timer.C:
		}
		began := time.Now()
		_ = m.save()
		timer.Reset(max(saveEvery, leisure*time.Since(began)))
	}
}

// save writes what is new, whole or not at all.
func (m *Memory) save() error {
	m.mu.Lock()
	facts, fresh := m.last, m.fresh
	m.fresh = false
	m.mu.Unlock()
	if !fresh {
		return nil
	}
	return write(m.path, model.Assemble(facts, m.now(), model.Options{}))
}

// write puts what is to be kept into its file, compressed.
func write(path string, what any) error {
	var b bytes.Buffer
	z, err := gzip.NewWriterLevel(&b, gzip.BestSpeed)
	if err != nil {
		return err
	}
	if err := json.NewEncoder(z).Encode(what); err != nil {
		return err
	}
	if err := z.Close(); err != nil {
		return err
	}
	if b.Len() > maxBytes {
		return fmt.Errorf("%s: %d bytes are more than is kept", path, b.Len())
	}
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	if err := replace(path, b.Bytes()); err != nil {
		return err
	}
	return tidy(dir)
}

// replace puts a file in the place of another, so that whoever reads finds the
// old one or the new one.
func replace(path string, b []byte) error {
	part, err := os.CreateTemp(filepath.Dir(path), partPrefix) // of mode 0600
	if err != nil {
		return err
	}
	_, err = part.Write(b)
	if err == nil {
		err = part.Sync()
	}
	if cerr := part.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(part.Name(), path)
	}
	if err != nil {
		_ = os.Remove(part.Name())
	}
	return err
}

const partPrefix = ".part-"

// tidy removes the oldest states, and what a crash left half-written.
func tidy(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	type state struct {
		path string
		at   time.Time
	}
	kept := map[string][]state{stateSuffix: nil, timelineSuffix: nil, viewSuffix: nil}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || e.IsDir() {
			continue
		}
		path := filepath.Join(dir, e.Name())
		switch {
		case strings.HasPrefix(e.Name(), partPrefix):
			if time.Since(info.ModTime()) > time.Hour {
				_ = os.Remove(path)
			}
		default:
			for suffix := range kept {
				if strings.HasSuffix(e.Name(), suffix) {
					kept[suffix] = append(kept[suffix], state{path, info.ModTime()})
				}
			}
		}
	}
	for _, states := range kept {
		slices.SortFunc(states, func(a, b state) int { return cmp.Or(b.at.Compare(a.at), cmp.Compare(a.path, b.path)) })
		for _, s := range states[min(len(states), maxStates):] {
			_ = os.Remove(s.path)
		}
	}
	return nil
}
