package rig

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

// Quorum is real servers that need a quorum of their kind, and nothing beside them:
// etcd members, or the servers of one MinIO. They stand in houses, each of which
// has power or not.
type Quorum struct {
	rig    *Rig
	houses [][]*quorumServer
	store  bool // MinIO's
	secret string
}

type quorumServer struct {
	name, address string
	start         func() error
}

// QuorumOf starts so many servers in each house, and waits until all are there.
func QuorumOf(ctx context.Context, store bool, layout ...int) (*Quorum, error) {
	cfg := Config{Log: func(string, ...any) {}}
	if err := cfg.complete(); err != nil {
		return nil, err
	}
	bin, err := binaries(ctx, cfg.Log)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "geotop-lab-")
	if err != nil {
		return nil, err
	}
	q := &Quorum{rig: &Rig{Dir: dir, cfg: cfg, bin: bin, ports: map[string]int{}}, store: store, secret: "only-for-this-drill"}
	if err := q.plan(layout); err != nil {
		q.Close()
		return nil, err
	}
	if err := q.Power(ctx, nil); err != nil {
		q.Close()
		return nil, err
	}
	return q, nil
}

// Close stops all and removes their data.
func (q *Quorum) Close() { q.rig.Down() }

func (q *Quorum) plan(layout []int) error {
	all := []*quorumServer{}
	for h, n := range layout {
		q.houses = append(q.houses, nil)
		for i := range n {
			s := &quorumServer{name: fmt.Sprintf("h%d-%d", h, i)}
			if err := q.rig.choosePorts(s.name, s.name+"-peer"); err != nil {
				return err
			}
			s.address = q.rig.address(s.name)
			if q.store { // two servers on one port would hand each other's connections round
				s.address = fmt.Sprintf("127.0.0.%d:%d", len(all)+1, q.rig.ports[s.name])
			}
			q.houses[h] = append(q.houses[h], s)
			all = append(all, s)
		}
	}
	for _, s := range all {
		args, env := q.etcdArgs(s, all), []string(nil)
		if q.store {
			args, env = q.minioArgs(s, all)
		}
		s.start = func() error {
			_, err := q.rig.launchWith(env, s.name, "", args...)
			return err
		}
	}
	return nil
}

func (q *Quorum) etcdArgs(s *quorumServer, all []*quorumServer) []string {
	peer := func(o *quorumServer) string { return "http://" + q.rig.address(o.name+"-peer") }
	cluster := []string{}
	for _, o := range all {
		cluster = append(cluster, o.name+"="+peer(o))
	}
	client := "http://" + s.address
	return []string{
		q.rig.bin["etcd"], "--name=" + s.name, "--data-dir=" + q.rig.file(s.name), "--unsafe-no-fsync", "--listen-client-urls=" + client,
		"--advertise-client-urls=" + client, "--listen-peer-urls=" + peer(s), "--initial-advertise-peer-urls=" + peer(s),
		"--initial-cluster=" + strings.Join(cluster, ","), "--heartbeat-interval=50", "--election-timeout=500", "--log-level=warn",
	}
}

func (q *Quorum) minioArgs(s *quorumServer, all []*quorumServer) (args, env []string) {
	args = []string{q.rig.bin["minio"], "server", "--quiet", "--address", s.address}
	for _, o := range all {
		args = append(args, "http://"+o.address+q.rig.file(filepath.Join("drives", o.name)))
	}
	return args, []string{
		"MINIO_ROOT_USER=" + bucketUser, "MINIO_ROOT_PASSWORD=" + q.secret, "MINIO_CI_CD=1", "MINIO_BROWSER=off", "MINIO_UPDATE=off",
		"_MINIO_SERVER_LOCAL=" + s.address,
	}
}

// Servers lists the addresses of the servers, by house.
func (q *Quorum) Servers() [][]string {
	list := [][]string{}
	for _, house := range q.houses {
		addresses := []string{}
		for _, s := range house {
			addresses = append(addresses, s.address)
		}
		list = append(list, addresses)
	}
	return list
}

// Credentials open the store.
func (q *Quorum) Credentials() (user, secret string) { return bucketUser, q.secret }

// Power has every house but the dark ones have power. Servers that begin to run are
// waited for, as far as they can get without the dark ones.
func (q *Quorum) Power(ctx context.Context, dark map[int]bool) error {
	started := []*quorumServer{}
	for h, house := range q.houses {
		for _, s := range house {
			c := q.rig.component(s.name)
			switch up := c != nil && c.Up(); {
			case up && dark[h]:
				c.kill()
			case !up && !dark[h]:
				if err := s.start(); err != nil {
					return err
				}
				started = append(started, s)
			}
		}
	}
	if len(dark) > 0 {
		return nil
	}
	for _, s := range started {
		if err := q.await(ctx, s); err != nil {
			return err
		}
	}
	return nil
}

func (q *Quorum) await(ctx context.Context, s *quorumServer) error {
	path := "/health"
	if q.store {
		path = "/minio/health/cluster?maintenance=true"
		if len(q.houses) == 0 || q.only() {
			path = "/minio/health/cluster"
		}
	}
	ctx, cancel := context.WithTimeoutCause(ctx, minioPatience, fmt.Errorf("%s did not come up", s.name))
	defer cancel()
	for {
		err := answers(ctx, "http://"+s.address+path)
		if err == nil {
			return nil
		}
		if c := q.rig.component(s.name); !c.Up() { // one may end while all find each other for the first time
			if err := s.start(); err != nil {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return errors.Join(context.Cause(ctx), err)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// only reports whether the store cannot spare any server, even when all are there.
func (q *Quorum) only() bool {
	n := 0
	for _, h := range q.houses {
		n += len(h)
	}
	return n < 3
}

// alive lists the servers that have power.
func (q *Quorum) alive() []*quorumServer {
	list := []*quorumServer{}
	for _, house := range q.houses {
		for _, s := range house {
			if c := q.rig.component(s.name); c != nil && c.Up() {
				list = append(list, s)
			}
		}
	}
	return list
}

// try tries to do something on any of the servers that run, for as long as an
// election or a reconnection may take.
func (q *Quorum) try(ctx context.Context, within time.Duration, do func(context.Context, *quorumServer) error) bool {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	for {
		for _, s := range q.alive() {
			once, end := context.WithTimeout(ctx, 2*time.Second) // one that hangs must not be all that is tried
			err := do(once, s)
			end()
			if err == nil {
				return true
			}
		}
		select {
		case <-ctx.Done():
			return false
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// CanWrite reports whether a write is accepted.
func (q *Quorum) CanWrite(ctx context.Context, within time.Duration) bool {
	if q.store {
		return q.try(ctx, within, func(ctx context.Context, s *quorumServer) error { return q.put(ctx, s, "written") })
	}
	return q.try(ctx, within, func(ctx context.Context, s *quorumServer) error {
		body := fmt.Sprintf(`{"key":%q,"value":%q}`, base64.StdEncoding.EncodeToString([]byte("key")), base64.StdEncoding.EncodeToString([]byte("value")))
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+s.address+"/v3/kv/put", strings.NewReader(body))
		if err != nil {
			return err
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			return err
		}
		defer res.Body.Close()
		if res.StatusCode != http.StatusOK {
			return errors.New(res.Status)
		}
		return nil
	})
}

// Seed puts an object into the store, to be read later.
func (q *Quorum) Seed(ctx context.Context) error {
	client, err := q.client(q.alive()[0])
	if err != nil {
		return err
	}
	if err := client.MakeBucket(ctx, bucketName, minio.MakeBucketOptions{}); err != nil {
		return err
	}
	return q.put(ctx, q.alive()[0], "seed")
}

// CanRead reports whether the seeded object can be read.
func (q *Quorum) CanRead(ctx context.Context, within time.Duration) bool {
	return q.try(ctx, within, func(ctx context.Context, s *quorumServer) error {
		client, err := q.client(s)
		if err != nil {
			return err
		}
		o, err := client.GetObject(ctx, bucketName, "seed", minio.GetObjectOptions{})
		if err != nil {
			return err
		}
		defer o.Close()
		b, err := io.ReadAll(o)
		if err == nil && string(b) != "seed" {
			err = fmt.Errorf("read %d other bytes", len(b))
		}
		return err
	})
}

func (q *Quorum) put(ctx context.Context, s *quorumServer, key string) error {
	client, err := q.client(s)
	if err != nil {
		return err
	}
	_, err = client.PutObject(ctx, bucketName, key, bytes.NewReader([]byte(key)), int64(len(key)), minio.PutObjectOptions{})
	return err
}

func (q *Quorum) client(s *quorumServer) (*minio.Client, error) {
	return minio.New(s.address, &minio.Options{Creds: credentials.NewStaticV4(bucketUser, q.secret, ""), Region: "us-east-1", BucketLookup: minio.BucketLookupPath, MaxRetries: 1})
}
