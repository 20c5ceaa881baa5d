package demo

import (
	"context"
	"io"
	"net"
	"net/http"
	"sync"
	"syscall"
)

// transport carries requests to a handler in memory, with bodies that stream.
type transport struct {
	handler http.Handler
	gone    <-chan struct{} // closed once nobody can be reached any more
}

// RoundTrip runs the handler in a goroutine that ends with the request's
// context, or when the body is closed.
func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	select {
	case <-t.gone:
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
	default:
	}
	ctx, cancel := context.WithCancel(r.Context())
	pr, pw := io.Pipe()
	w := &pipeWriter{header: http.Header{}, pipe: pw, begun: make(chan struct{}), code: http.StatusOK}
	stop := context.AfterFunc(ctx, func() { pw.CloseWithError(context.Canceled); w.begin() })
	go func() {
		defer cancel()
		t.handler.ServeHTTP(w, r.WithContext(ctx))
		w.begin()
		stop()
		pw.CloseWithError(t.ending())
	}()
	select {
	case <-w.begun:
	case <-ctx.Done():
		<-w.begun
	}
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	return &http.Response{
		StatusCode: w.code, Status: http.StatusText(w.code), Proto: "HTTP/2.0", ProtoMajor: 2,
		Header: w.header, Body: &pipeBody{pr, cancel}, ContentLength: -1, Request: r,
	}, nil
}

// ending is how a body ends: in good order, or cut off with the server.
func (t *transport) ending() error {
	select {
	case <-t.gone:
		return io.ErrUnexpectedEOF
	default:
		return nil
	}
}

// pipeWriter is the handler's side.
type pipeWriter struct {
	header http.Header
	pipe   *io.PipeWriter
	once   sync.Once
	begun  chan struct{} // closed once the header is settled
	code   int
}

func (w *pipeWriter) Header() http.Header { return w.header }
func (w *pipeWriter) Flush()              { w.begin() }
func (w *pipeWriter) begin()              { w.once.Do(func() { close(w.begun) }) }

func (w *pipeWriter) WriteHeader(code int) {
	w.once.Do(func() {
		w.code = code
		close(w.begun)
	})
}

func (w *pipeWriter) Write(p []byte) (int, error) {
	w.begin()
	return w.pipe.Write(p)
}

// pipeBody is the client's side: closing it ends the handler.
type pipeBody struct {
	*io.PipeReader
	cancel context.CancelFunc
}

func (b *pipeBody) Close() error {
	b.cancel()
	return b.PipeReader.Close()
}
