package rig

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/geotop/geotop/lab/longhorn"
)

const (
	bucketName    = "backups"
	bucketUser    = "labadmin"
	backupTarget  = "s3://" + bucketName + "@us-east-1/"
	backupSecret  = "backup-credentials"
	minioUpTo     = 9 // houses
	minioPatience = time.Minute
)

// hasMinIO reports whether the rig runs an object store: one server with one
// drive in every house, all one erasure set.
func (r *Rig) hasMinIO() bool {
	return !r.cfg.NoLonghorn && len(r.houses) > 1 && len(r.houses) <= minioUpTo
}

// planMinIO gives every house's server an address of its own: two servers on one
// port would hand each other's connections round.
func (r *Rig) planMinIO() error {
	if !r.hasMinIO() {
		return nil
	}
	key := make([]byte, 16)
	if _, err := rand.Read(key); err != nil {
		return err
	}
	r.bucketKey = hex.EncodeToString(key)
	names := []string{}
	for _, h := range r.houses {
		names = append(names, "minio-"+h.name)
	}
	return r.choosePorts(names...)
}

func (r *Rig) minioAddress(i int) string {
	return fmt.Sprintf("%s:%d", minioHost(i), r.ports["minio-"+r.houses[i].name])
}

func minioHost(i int) string { return fmt.Sprintf("127.0.0.%d", i+1) }

// startMinIO starts all servers, and makes the bucket.
func (r *Rig) startMinIO(ctx context.Context) error {
	if !r.hasMinIO() {
		return nil
	}
	for i := range r.houses {
		if err := r.launchMinIO(i); err != nil {
			return err
		}
	}
	client, err := r.Bucket()
	if err != nil {
		return err
	}
	first := r.component("minio-" + r.houses[0].name)
	return first.await(ctx, minioPatience, func(ctx context.Context) error {
		r.reviveMinIO() // one may end while all find each other for the first time
		if err := answers(ctx, "http://"+r.minioAddress(0)+"/minio/health/cluster"); err != nil {
			return err
		}
		there, err := client.BucketExists(ctx, bucketName)
		if err != nil || there {
			return err
		}
		return client.MakeBucket(ctx, bucketName, minio.MakeBucketOptions{})
	})
}

func (r *Rig) launchMinIO(i int) error {
	h := r.houses[i]
	args := []string{r.bin["minio"], "server", "--quiet", "--address", r.minioAddress(i)}
	for j, other := range r.houses {
		drive := r.file(filepath.Join("minio", other.name, "d1"))
		if err := os.MkdirAll(drive, 0o700); err != nil {
			return err
		}
		args = append(args, "http://"+r.minioAddress(j)+drive)
	}
	_, err := r.launchWith([]string{
		"MINIO_ROOT_USER=" + bucketUser, "MINIO_ROOT_PASSWORD=" + r.bucketKey, "MINIO_CI_CD=1", "MINIO_BROWSER=off", "MINIO_UPDATE=off",
		"_MINIO_SERVER_LOCAL=" + r.minioAddress(i), // in a container it would wait for loopback for ever
	}, "minio-"+h.name, h.name, args...)
	return err
}

// reviveMinIO starts servers again that ended by themselves.
func (r *Rig) reviveMinIO() {
	for i, h := range r.houses {
		if c := r.component("minio-" + h.name); c != nil && !c.Up() && len(h.cut) == 0 {
			_ = r.launchMinIO(i)
		}
	}
}

// powerMinIO switches the house's server.
func (r *Rig) powerMinIO(house string, on bool) error {
	if !r.hasMinIO() {
		return nil
	}
	for i, h := range r.houses {
		c := r.component("minio-" + house)
		switch {
		case h.name != house || c == nil:
		case on && !c.Up():
			return r.launchMinIO(i)
		case !on:
			c.kill()
		}
	}
	return nil
}

// Bucket is a client of the rig's object store, with all rights.
func (r *Rig) Bucket() (*minio.Client, error) { return r.bucketAt(0) }

func (r *Rig) bucketAt(i int) (*minio.Client, error) {
	return minio.New(r.minioAddress(i), &minio.Options{
		Creds: credentials.NewStaticV4(bucketUser, r.bucketKey, ""), Region: "us-east-1", BucketLookup: minio.BucketLookupPath, MaxRetries: 2,
	})
}

// BucketName is the bucket that the backups are in.
func (r *Rig) BucketName() string { return bucketName }

// BucketUser is the access key of the bucket.
func (r *Rig) BucketUser() string { return bucketUser }

// BucketKey is the secret that opens it, which must show up nowhere.
func (r *Rig) BucketKey() string { return r.bucketKey }

// makeBackupSecret makes the Secret that Longhorn's target names.
func (r *Rig) makeBackupSecret(ctx context.Context, c kubernetes.Interface) error {
	_, err := c.CoreV1().Secrets(longhorn.Namespace).Create(ctx, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: longhorn.Namespace, Name: backupSecret},
		StringData: map[string]string{"AWS_ACCESS_KEY_ID": bucketUser, "AWS_SECRET_ACCESS_KEY": r.bucketKey, "AWS_ENDPOINTS": "http://" + r.minioAddress(0)},
	}, metav1.CreateOptions{})
	return err
}

// files writes backups into the bucket, through whichever house's server lives.
type files struct{ rig *Rig }

// Put writes one object.
func (f files) Put(ctx context.Context, key string, body []byte) error {
	return f.with(func(client *minio.Client) error {
		_, err := client.PutObject(ctx, bucketName, key, bytes.NewReader(body), int64(len(body)), minio.PutObjectOptions{})
		return err
	})
}

// Remove deletes one object.
func (f files) Remove(ctx context.Context, key string) error {
	return f.with(func(client *minio.Client) error {
		return client.RemoveObject(ctx, bucketName, key, minio.RemoveObjectOptions{})
	})
}

// with does something on the first server that has power and can do it.
func (f files) with(do func(*minio.Client) error) error {
	var last error
	for i, h := range f.rig.houses {
		if len(h.cut) > 0 {
			continue
		}
		client, err := f.rig.bucketAt(i)
		if err != nil {
			return err
		}
		if last = do(client); last == nil {
			return nil
		}
	}
	return last
}

// StopStore kills the object store's server of a house, and nothing else there.
func (r *Rig) StopStore(house string) error { return r.powerMinIO(house, false) }

// StartStore starts it again.
func (r *Rig) StartStore(house string) error { return r.powerMinIO(house, true) }

// StoreEndpoint is the URL of the object store in the i-th house.
func (r *Rig) StoreEndpoint(i int) string { return "http://" + r.minioAddress(i) }

// WaitStore waits until the object store could spare any one of its servers: all
// are there.
func (r *Rig) WaitStore(ctx context.Context) error {
	if !r.hasMinIO() {
		return nil
	}
	for i := range r.houses {
		for {
			err := answers(ctx, "http://"+r.minioAddress(i)+"/minio/health/cluster?maintenance=true")
			if err == nil {
				break
			}
			select {
			case <-ctx.Done():
				return fmt.Errorf("the object store lacks a server: %w", err)
			case <-time.After(100 * time.Millisecond):
			}
		}
	}
	return nil
}

// PlantObjects makes a bucket hold many more objects, each as the one of the
// given key is: on the drives themselves, since the server takes minutes for what
// the drives take seconds. They are for listing only.
func (r *Rig) PlantObjects(bucket, like string, keys func(yield func(string) bool)) error {
	for _, h := range r.houses {
		root := r.file(filepath.Join("minio", h.name, "d1", bucket))
		meta, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(like), "xl.meta"))
		if err != nil {
			return err
		}
		for key := range keys {
			dir := filepath.Join(root, filepath.FromSlash(key))
			if err := os.MkdirAll(dir, 0o700); err != nil {
				return err
			}
			if err := os.WriteFile(filepath.Join(dir, "xl.meta"), meta, 0o600); err != nil {
				return err
			}
		}
	}
	return nil
}
