package objectstore

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"sync"

	"github.com/minio/minio-go/v7/pkg/signer"

	"github.com/geotop/geotop/model"
)

const maxInfo = 8 << 20

// info asks MinIO for its servers and drives; nil where our credentials do not
// suffice, as those made for backups seldom do.
func (b *bucket) info(ctx context.Context) *model.StoreCluster {
	ctx, cancel := context.WithTimeout(ctx, replyTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, b.base+"/minio/admin/v3/info", nil)
	if err != nil {
		return nil
	}
	nothing := sha256.Sum256(nil)
	req.Header.Set("X-Amz-Content-Sha256", hex.EncodeToString(nothing[:]))
	resp, err := b.transport.RoundTrip(signer.SignV4(*req, b.accessKey, b.secretKey, "", ""))
	if err != nil {
		return nil
	}
	defer resp.Body.Close()
	var answer adminInfo
	if resp.StatusCode != http.StatusOK || json.NewDecoder(io.LimitReader(resp.Body, maxInfo)).Decode(&answer) != nil {
		return nil
	}
	c := answer.cluster()
	b.forecast(ctx, c)
	return c
}

// adminInfo are the fields used of /minio/admin/v3/info.
type adminInfo struct {
	Mode    string
	Backend struct{ StandardSCParity int }
	Servers []struct {
		State, Endpoint, Version string
		Uptime                   float64
		Drives                   []struct {
			Path, State            string
			Healing                bool
			TotalSpace, AvailSpace uint64
			PoolIndex              int `json:"pool_index"`
			SetIndex               int `json:"set_index"`
		}
	}
}

func (a *adminInfo) cluster() *model.StoreCluster {
	c := &model.StoreCluster{Mode: model.Clean(a.Mode, 40), Parity: a.Backend.StandardSCParity, Servers: []*model.StoreServer{}}
	for _, s := range a.Servers {
		server := &model.StoreServer{
			Endpoint: model.Clean(s.Endpoint, 120), Online: s.State == "online", Version: model.Clean(s.Version, 60), Uptime: s.Uptime, Drives: []model.StoreDrive{},
		}
		for _, d := range s.Drives {
			server.Drives = append(server.Drives, model.StoreDrive{
				Path: model.Clean(d.Path, 120), State: model.Clean(d.State, 40), Healing: d.Healing, Pool: d.PoolIndex, Set: d.SetIndex,
				Total: int64(d.TotalSpace), Available: int64(d.AvailSpace),
			})
		}
		c.Servers = append(c.Servers, server)
	}
	slices.SortFunc(c.Servers, func(x, y *model.StoreServer) int { return cmp.Compare(x.Endpoint, y.Endpoint) })
	return c
}

// forecast asks each server whether the store would do without it, as before
// maintenance. Servers that only each other can reach leave it open.
func (b *bucket) forecast(ctx context.Context, c *model.StoreCluster) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	var wg sync.WaitGroup
	for _, s := range c.Servers {
		if !s.Online {
			continue
		}
		wg.Go(func() {
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, baseURL(s.Endpoint, b.tls)+"/minio/health/cluster?maintenance=true", nil)
			if err != nil {
				return
			}
			resp, err := b.transport.RoundTrip(req)
			if err != nil {
				return
			}
			resp.Body.Close()
			spare := resp.StatusCode == http.StatusOK
			if spare || resp.StatusCode == http.StatusPreconditionFailed {
				s.Spare = &spare
			}
		})
	}
	wg.Wait()
}
