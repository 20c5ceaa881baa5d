// Package session is what an operator does inside pods: read their logs, open a
// shell, forward ports. What comes out of a container is hostile until it is cleaned; a shell's
// own terminal is the one place where it is let through.
package session

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/geotop/geotop/model"
)

// API reaches the cluster's API server.
type API interface {
	Request(ctx context.Context, method, path string, query url.Values, contentType string, body []byte) ([]byte, error)
	// Stream begins a request whose answer has no end of its own.
	Stream(ctx context.Context, path string, query url.Values) (io.ReadCloser, error)
}

// Target is a container of a pod.
type Target struct {
	Namespace, Pod, Container string
	Enter                     []string // what leads from the container to where a shell is meant to be
}

// Choice is a pod's containers, and the one that is meant when none is named.
type Choice struct {
	Node       string
	Containers []string // those that run to stay first, then init containers
	Default    string
	Ports      []string // that they declare, TCP alone
}

func podPath(namespace, name string) string {
	return "/api/v1/namespaces/" + url.PathEscape(namespace) + "/pods/" + url.PathEscape(name)
}

// Containers asks which containers a pod has.
func Containers(ctx context.Context, api API, namespace, name string) (*Choice, error) {
	pod, err := readPod(ctx, api, namespace, name)
	if err != nil {
		return nil, err
	}
	c := &Choice{Node: pod.Spec.NodeName}
	for _, k := range pod.Spec.Containers {
		c.Containers = append(c.Containers, k.Name)
		for _, p := range k.Ports {
			if p.Protocol == corev1.ProtocolTCP || p.Protocol == "" {
				c.Ports = append(c.Ports, strconv.Itoa(int(p.ContainerPort)))
			}
		}
	}
	for _, k := range pod.Spec.InitContainers {
		c.Containers = append(c.Containers, k.Name)
	}
	c.Default = pod.Annotations["kubectl.kubernetes.io/default-container"]
	if !slices.Contains(c.Containers, c.Default) && len(c.Containers) > 0 {
		c.Default = c.Containers[0]
	}
	return c, nil
}

// LogOptions say which part of a log is wanted.
type LogOptions struct {
	Follow   bool
	Previous bool          // of the container before its last restart
	Tail     int           // so many last lines; all when negative
	Since    time.Duration // only what is newer; all when 0
	Clean    bool          // strip what could move a terminal's cursor
	Prefix   bool          // put the container's name before each line
	Stamp    bool          // put before each line when it was said, in RFC 3339
}

// Logs writes the logs of containers, line by line as they come. Lines of several
// containers are never mixed.
func Logs(ctx context.Context, api API, targets []Target, opt LogOptions, out io.Writer) error {
	var wg sync.WaitGroup
	lines := &lineWriter{out: out}
	errs := make([]error, len(targets))
	for i, t := range targets {
		wg.Go(func() { errs[i] = log(ctx, api, t, opt, lines) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

func log(ctx context.Context, api API, t Target, opt LogOptions, out *lineWriter) error {
	q := url.Values{"container": {t.Container}}
	if opt.Follow {
		q.Set("follow", "true")
	}
	if opt.Previous {
		q.Set("previous", "true")
	}
	if opt.Tail >= 0 {
		q.Set("tailLines", strconv.Itoa(opt.Tail))
	}
	if opt.Since > 0 {
		q.Set("sinceSeconds", strconv.Itoa(int(opt.Since/time.Second)))
	}
	if opt.Stamp {
		q.Set("timestamps", "true")
	}
	body, err := api.Stream(ctx, podPath(t.Namespace, t.Pod)+"/log", q)
	if err != nil {
		return fmt.Errorf("logs of %s/%s, container %s: %w", t.Namespace, t.Pod, t.Container, err)
	}
	defer body.Close()
	prefix := ""
	if opt.Prefix {
		prefix = "[" + t.Pod + " " + t.Container + "] "
	}
	// A line has no bound of its own: a long one is passed on in parts.
	r := bufio.NewReaderSize(body, 64<<10)
	for {
		part, err := r.ReadSlice('\n')
		if len(part) > 0 {
			text := strings.TrimSuffix(string(part), "\n")
			if opt.Clean {
				text = model.Strip(text)
			}
			if err := out.write(prefix + text + "\n"); err != nil {
				return err
			}
		}
		switch {
		case err == nil || errors.Is(err, bufio.ErrBufferFull):
		case errors.Is(err, io.EOF) || ctx.Err() != nil:
			return nil
		default:
			return fmt.Errorf("logs of %s/%s broke off: %w", t.Namespace, t.Pod, err)
		}
	}
}

// lineWriter takes whole lines of several goroutines.
type lineWriter struct {
	mu  sync.Mutex
	out io.Writer
}

func (w *lineWriter) write(line string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	_, err := io.WriteString(w.out, line)
	return err
}
