//go:build tools

// Package minio pins MinIO, the object store the lab runs.
package minio

import _ "github.com/minio/minio"
