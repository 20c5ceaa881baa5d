package rig

import (
	"context"
	"fmt"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
)

// snapshotFiles is k3s's list of its etcd snapshots.
var snapshotFiles = schema.GroupVersionResource{Group: "k3s.cattle.io", Version: "v1", Resource: "etcdsnapshotfiles"}

// startK3s makes what a k3s of these servers would have left: its CRD, and an
// etcd snapshot on the disk of each server.
func (r *Rig) startK3s(ctx context.Context) error {
	cfg, err := r.RestConfig("admin")
	if err != nil {
		return err
	}
	if err := snapshotCRD.install(ctx, cfg); err != nil {
		return err
	}
	c, err := r.Client()
	if err != nil {
		return err
	}
	servers, err := c.CoreV1().Nodes().List(ctx, metav1.ListOptions{LabelSelector: "node-role.kubernetes.io/etcd"})
	if err != nil {
		return err
	}
	for i := range servers.Items {
		n := &servers.Items[i]
		if _, err := r.AddEtcdSnapshot(ctx, n, time.Now(), ""); err != nil {
			return err
		}
	}
	return nil
}

// StoreEtcdSnapshot puts a snapshot of the server into the bucket, as k3s does
// with --etcd-s3, and lists it. It gives its key and what takes it off the list.
func (r *Rig) StoreEtcdSnapshot(ctx context.Context, server string, at time.Time) (key string, remove func(context.Context) error, err error) {
	name := fmt.Sprintf("etcd-snapshot-%s-%d", server, at.Unix())
	key = "k3s/" + name
	body := []byte("what etcd held")
	if err := (files{r}).Put(ctx, key, body); err != nil {
		return "", nil, err
	}
	remove, err = r.listSnapshot(ctx, "s3-"+name,
		map[string]any{
			"snapshotName": name, "nodeName": server, "location": "s3://" + bucketName + "/" + key,
			"s3": map[string]any{"endpoint": r.minioAddress(0), "bucket": bucketName, "prefix": "k3s", "region": "us-east-1"},
		},
		map[string]any{"creationTime": at.UTC().Format(time.RFC3339), "readyToUse": true, "size": strconv.Itoa(len(body))})
	return key, remove, err
}

// AddEtcdSnapshot lists a snapshot that the server took at that moment, or
// failed to take for the given reason, and gives what takes it off the list.
func (r *Rig) AddEtcdSnapshot(ctx context.Context, server *corev1.Node, at time.Time, failure string) (remove func(context.Context) error, err error) {
	name := fmt.Sprintf("etcd-snapshot-%s-%d", server.Name, at.Unix())
	status := map[string]any{"creationTime": at.UTC().Format(time.RFC3339), "readyToUse": failure == "", "size": "6385Ki"}
	if failure != "" {
		delete(status, "size")
		status["error"] = map[string]any{"time": at.UTC().Format(time.RFC3339), "message": failure}
	}
	return r.listSnapshot(ctx, "local-"+name,
		map[string]any{"snapshotName": name, "nodeName": server.Name, "location": "file:///var/lib/rancher/k3s/server/db/snapshots/" + name}, status)
}

func (r *Rig) listSnapshot(ctx context.Context, name string, spec, status map[string]any) (remove func(context.Context) error, err error) {
	cfg, err := r.RestConfig("admin")
	if err != nil {
		return nil, err
	}
	dyn, err := dynamic.NewForConfig(cfg)
	if err != nil {
		return nil, err
	}
	obj := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "k3s.cattle.io/v1", "kind": "ETCDSnapshotFile", "metadata": map[string]any{"name": name}, "spec": spec, "status": status,
	}}
	files := dyn.Resource(snapshotFiles)
	made, err := files.Create(ctx, obj, metav1.CreateOptions{}) // its status is no subresource
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context) error { return files.Delete(ctx, made.GetName(), metav1.DeleteOptions{}) }, nil
}
