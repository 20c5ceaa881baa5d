package objectstore

import (
	"context"
	"crypto/sha512"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"net"
	"net/http"
	"net/url"
	"syscall"

	"github.com/minio/minio-go/v7"

	"github.com/geotop/geotop/model"
)

// volumeFolder is where Longhorn keeps a volume's files, below the target's path.
func volumeFolder(volume string) string {
	sum := sha512.Sum512([]byte(volume))
	h := hex.EncodeToString(sum[:2])
	return root + h[:2] + "/" + h[2:] + "/" + volume + "/"
}

// backupKey is where Longhorn keeps a backup's own file.
func backupKey(volume, backup string) string {
	return volumeFolder(volume) + "backups/backup_" + backup + ".cfg"
}

// describe puts an error of a store into words and a status.
func describe(err error) (status model.SourceStatus, text, hint string) {
	var (
		s3      minio.ErrorResponse
		dns     *net.DNSError
		unknown x509.UnknownAuthorityError
		uerr    *url.Error
	)
	switch {
	case errors.As(err, &s3) && s3.Code == "AccessDenied":
		return model.SourceForbidden, "the store refuses our credentials (AccessDenied)", "they need s3:ListBucket and s3:GetObject"
	case errors.As(err, &s3) && (s3.Code == "SlowDownRead" || s3.Code == "SlowDownWrite"):
		return model.SourceFailed, "the store has lost its quorum", "are enough of its servers up?"
	case errors.As(err, &s3) && s3.Code == "RequestTimeTooSkewed":
		return model.SourceFailed, "this machine's clock and the store's differ too much", "check the clocks"
	case errors.As(err, &s3) && s3.Code == "NoSuchBucket":
		return model.SourceFailed, "there is no bucket " + model.Clean(s3.BucketName, 80), "check the backup target's URL"
	case errors.As(err, &s3) && s3.StatusCode == http.StatusForbidden:
		return model.SourceForbidden, "the store refuses our credentials: " + model.Clean(s3.Code, 80), ""
	case errors.As(err, &s3) && s3.Code != "":
		return model.SourceFailed, model.Clean(s3.Code+": "+s3.Message, 200), ""
	case errors.As(err, &dns):
		return model.SourceFailed, "cannot look up " + model.Clean(dns.Name, 80), "the endpoint may be a name only the cluster knows: name one with --s3-endpoint"
	case errors.Is(err, syscall.ECONNREFUSED):
		return model.SourceFailed, "connection refused", "is the object store up?"
	case errors.As(err, &unknown):
		return model.SourceFailed, "the store's certificate is signed by an unknown authority", "put its CA into AWS_CERT of the secret"
	case errors.Is(err, context.DeadlineExceeded), timeout(err):
		return model.SourceFailed, "no answer in time", "is the house of the object store up?"
	case errors.As(err, &uerr):
		return model.SourceFailed, model.Clean(uerr.Err.Error(), 200), ""
	default:
		return model.SourceFailed, model.Clean(err.Error(), 200), ""
	}
}

func timeout(err error) bool {
	var n net.Error
	return errors.As(err, &n) && n.Timeout()
}
