package rig

import (
	"context"
	"os"
	"path/filepath"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

// StartPlainStore starts a store that is not MinIO: S3 over a folder, with the
// object store's own keys and everything in its bucket. It gives a client of it
// and its URL.
func (r *Rig) StartPlainStore(ctx context.Context) (*minio.Client, string, error) {
	if err := r.choosePorts("versitygw"); err != nil {
		return nil, "", err
	}
	root, meta := r.file("versitygw"), r.file("meta-of-versitygw")
	for _, dir := range []string{filepath.Join(root, bucketName), meta} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, "", err
		}
	}
	c, err := r.launchWith([]string{"ROOT_ACCESS_KEY=" + bucketUser, "ROOT_SECRET_KEY=" + r.bucketKey}, "versitygw", "", r.bin["versitygw"],
		"--port", r.address("versitygw"), "--region", "us-east-1", "--health", "/health", "posix", "--sidecar", meta, root)
	if err != nil {
		return nil, "", err
	}
	url := "http://" + r.address("versitygw")
	if err := c.await(ctx, 30*time.Second, func(ctx context.Context) error { return answers(ctx, url+"/health") }); err != nil {
		return nil, "", err
	}
	plain, err := minio.New(r.address("versitygw"), &minio.Options{
		Creds: credentials.NewStaticV4(bucketUser, r.bucketKey, ""), Region: "us-east-1", BucketLookup: minio.BucketLookupPath,
	})
	if err != nil {
		return nil, "", err
	}
	from, err := r.Bucket()
	if err != nil {
		return nil, "", err
	}
	for o := range from.ListObjects(ctx, bucketName, minio.ListObjectsOptions{Recursive: true}) {
		if o.Err != nil {
			return nil, "", o.Err
		}
		body, err := from.GetObject(ctx, bucketName, o.Key, minio.GetObjectOptions{})
		if err != nil {
			return nil, "", err
		}
		if _, err := plain.PutObject(ctx, bucketName, o.Key, body, o.Size, minio.PutObjectOptions{}); err != nil {
			return nil, "", err
		}
	}
	return plain, url, nil
}
