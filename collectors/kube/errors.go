package kube

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strings"
	"syscall"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/geotop/geotop/model"
)

var (
	errAbandoned = errors.New("the connection was given up: the server sent nothing any more")
	errSilent    = fmt.Errorf("no answer for %s", idleTimeout)
	errNoWatch   = errors.New("watching is not allowed")
	errGone      = errors.New("the watch is too old to go on")
)

// describe puts an error of the API into words, and says what to do about it.
func describe(err error) (text, hint string) {
	var (
		uerr    *url.Error
		dns     *net.DNSError
		unknown x509.UnknownAuthorityError
		host    x509.HostnameError
		invalid x509.CertificateInvalidError
		record  tls.RecordHeaderError
		alert   tls.AlertError
	)
	address := ""
	if errors.As(err, &uerr) {
		if u, e := url.Parse(uerr.URL); e == nil {
			address = " " + u.Host
		}
	}
	switch {
	case apierrors.IsUnauthorized(err):
		return "the server refuses our credentials (401 Unauthorized)", "log in again, or renew the token or certificate in the kubeconfig"
	case apierrors.IsForbidden(err):
		return apiMessage(err), "ask for the right, see docs/rbac.md"
	case errors.As(err, &dns):
		return "cannot look up " + dns.Name, "check the kubeconfig's server and this machine's DNS"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection refused by" + address, "is k3s running on that machine?"
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return "no route to" + address, "is this machine on the tailnet?"
	case errors.As(err, &unknown):
		return "the certificate of" + address + " is not signed by the cluster's CA", "is this the right server for this kubeconfig?"
	case errors.As(err, &host), errors.As(err, &invalid):
		return "the certificate of" + address + " is not valid: " + rootCause(err), "check the kubeconfig's server name and this machine's clock"
	case errors.As(err, &record):
		return address[min(1, len(address)):] + " does not speak TLS", "the kubeconfig's server may want http://, or a wrong port"
	case errors.As(err, &alert):
		return "TLS with" + address + " failed: " + rootCause(err), "renew the client certificate in the kubeconfig"
	case isTimeout(err):
		return "no answer from" + address + " in time", "is the house of that server up?"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET):
		return "the connection" + strings.Replace(address, " ", " to ", 1) + " was cut", ""
	default:
		return model.Clean(apiMessage(err), 300), ""
	}
}

func isTimeout(err error) bool {
	var nerr net.Error
	return errors.Is(err, context.DeadlineExceeded) || (errors.As(err, &nerr) && nerr.Timeout())
}

// apiMessage prefers the server's own message.
func apiMessage(err error) string {
	var st apierrors.APIStatus
	if errors.As(err, &st) {
		return model.Clean(st.Status().Message, 300)
	}
	return rootCause(err)
}

// rootCause gives the innermost error's text, without the URL around it.
func rootCause(err error) string {
	var uerr *url.Error
	if errors.As(err, &uerr) {
		err = uerr.Err
	}
	return err.Error()
}

// outcome sorts an error of one kind into the status of its source.
func outcome(err error) model.SourceStatus {
	switch {
	case apierrors.IsForbidden(err):
		return model.SourceForbidden
	case apierrors.IsNotFound(err), apierrors.IsMethodNotSupported(err):
		return model.SourceAbsent
	default:
		return model.SourceFailed
	}
}

func isEOF(err error) bool { return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) }
