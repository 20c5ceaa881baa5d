package actions

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/geotop/geotop/model"
)

// Audit is the log of everything that was attempted: a file of one JSON object a
// line, which is only ever added to.
type Audit struct {
	file string
	mu   sync.Mutex
	kept []Entry // without a file
}

// Entry is one line of the audit log.
type Entry struct {
	At      time.Time `json:"at"`
	ID      string    `json:"id"`
	User    string    `json:"user"`              // user@machine geotop ran as
	As      string    `json:"as,omitempty"`      // what the API server takes us for
	Cluster string    `json:"cluster"`           // kubeconfig context
	How     string    `json:"how"`               // run, finish, undo, forget, dry-run
	Action  string    `json:"action"`            // cordon, drain, ...
	Target  string    `json:"target"`            // site/moka, ...
	Objects []string  `json:"objects,omitempty"` // what its steps are about
	Result  string    `json:"result"`            // begun, done, failed, stopped, refused
	Done    int       `json:"done"`              // steps that are over
	Steps   int       `json:"steps"`
	Error   string    `json:"error,omitempty"`
}

// OpenAudit keeps the log in a folder, made when there is something to write.
func OpenAudit(folder string) *Audit { return &Audit{file: filepath.Join(folder, "audit.jsonl")} }

// MemoryAudit is a log that is gone with the process: a demo's.
func MemoryAudit() *Audit { return &Audit{} }

// Write adds a line.
func (a *Audit) Write(e Entry) error {
	if a == nil {
		return nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.file == "" {
		a.kept = append(a.kept, e)
		return nil
	}
	line, err := json.Marshal(e)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(a.file), 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(a.file, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(append(line, '\n')) // one write, so that lines of two geotops do not mix
	return errors.Join(err, f.Close())
}

// Read gives the newest entries, the newest last. Lines that are no entries are
// passed over. No file is no entries.
func (a *Audit) Read(most int) ([]Entry, error) {
	if a.file == "" {
		a.mu.Lock()
		defer a.mu.Unlock()
		return slices.Clone(a.kept[max(0, len(a.kept)-most):]), nil
	}
	f, err := os.Open(a.file)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	const each = 4 << 10
	if info, err := f.Stat(); err == nil && info.Size() > int64(most)*each {
		if _, err := f.Seek(-int64(most)*each, io.SeekEnd); err != nil {
			return nil, err
		}
	}
	body, err := io.ReadAll(f)
	if err != nil {
		return nil, err
	}
	entries := []Entry{}
	for len(body) > 0 {
		line := body
		for i, c := range body {
			if c == '\n' {
				line = body[:i]
				break
			}
		}
		body = body[min(len(body), len(line)+1):]
		var e Entry
		if json.Unmarshal(line, &e) == nil && !e.At.IsZero() {
			entries = append(entries, e)
		}
	}
	return entries[max(0, len(entries)-most):], nil
}

// begin notes that a plan begins, and gives what notes its end. An action whose
// beginning cannot be noted is done nevertheless: at three in the morning a full
// disk must not keep a house from being drained.
func (a *Audit) begin(ctx context.Context, c client, r *Runner, p *model.Plan, how string) func(error) error {
	e := entryOf(p, how, r.Who, r.Now())
	if a == nil {
		return func(err error) error { return err }
	}
	e.As, e.Result = c.whoAmI(ctx), "begun"
	_ = a.Write(e)
	return func(err error) error {
		var refusal *RefusedError
		e.At, e.Done, e.Result = r.Now().UTC(), p.Done(), "done"
		if err != nil {
			e.Error, e.Result = model.Clean(err.Error(), 500), "failed"
		}
		switch {
		case errors.As(err, &refusal):
			e.Result = "refused"
		case errors.Is(err, ErrStopped), errors.Is(err, context.Canceled):
			e.Result = "stopped"
		}
		_ = a.Write(e)
		return err
	}
}

// Refused notes an action that was not begun.
func (r *Runner) Refused(p *model.Plan, err error) {
	e := entryOf(p, "run", r.Who, r.Now())
	e.Result, e.Error = "refused", model.Clean(err.Error(), 500)
	_ = r.Audit.Write(e)
}

func entryOf(p *model.Plan, how, who string, now time.Time) Entry {
	e := Entry{At: now.UTC(), ID: p.ID, User: who, Cluster: p.Cluster, How: how, Action: p.Action, Target: p.Target, Steps: len(p.Steps), Done: p.Done()}
	for _, s := range p.Steps {
		if len(e.Objects) < 100 {
			e.Objects = append(e.Objects, s.Object)
		}
	}
	return e
}
