package rig

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// auditPolicy logs the requests of the user observer and of nobody else, so that
// what one program asks can be counted.
const auditPolicy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- {level: Metadata, users: [observer]}
- {level: None}
`

// Request is one request the observer made.
type Request struct {
	Verb string
	URI  string
	Code int
	At   time.Time
}

func (r *Rig) auditLog() string { return filepath.Join(r.Dir, auditFile) }

const auditFile = "audit.log"

// Requests gives what the observer asked since the rig came up.
func (r *Rig) Requests() ([]Request, error) { return RequestsIn(r.Dir) }

// RequestsIn is Requests for the rig whose folder is dir, whoever owns it.
func RequestsIn(dir string) ([]Request, error) {
	f, err := os.Open(filepath.Join(dir, auditFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var all []Request
	seen := map[string]bool{} // a watch is logged when it begins and when it ends
	lines := bufio.NewReaderSize(f, 1<<20)
	for {
		line, err := lines.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return all, nil // what is there of a line is still being written
		}
		if err != nil {
			return nil, err
		}
		var ev struct {
			AuditID        string    `json:"auditID"`
			Verb           string    `json:"verb"`
			RequestURI     string    `json:"requestURI"`
			At             time.Time `json:"requestReceivedTimestamp"`
			ResponseStatus struct {
				Code int `json:"code"`
			} `json:"responseStatus"`
		}
		if err := json.Unmarshal(line, &ev); err != nil {
			return nil, err
		}
		if seen[ev.AuditID] {
			continue
		}
		seen[ev.AuditID] = true
		all = append(all, Request{ev.Verb, ev.RequestURI, ev.ResponseStatus.Code, ev.At})
	}
}
