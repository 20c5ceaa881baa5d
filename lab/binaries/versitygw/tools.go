//go:build tools

// Package versitygw pins an S3 gateway over a plain folder: a store that is not MinIO.
package versitygw

import _ "github.com/versity/versitygw/cmd/versitygw"
