package model

import (
	"encoding/json"
	"math"
	"strings"
	"time"
)

// SourceStatus says how far a source can be believed.
type SourceStatus string

const (
	// SourcePending has not answered yet and has not failed yet.
	SourcePending SourceStatus = "pending"
	// SourceOK answered, and its items are current as of ObservedAt.
	SourceOK SourceStatus = "ok"
	// SourceStale answered once; its items are old and shown as such.
	SourceStale SourceStatus = "stale"
	// SourceFailed never answered: nothing is known from it.
	SourceFailed SourceStatus = "failed"
	// SourceForbidden refused us: the account lacks a right.
	SourceForbidden SourceStatus = "forbidden"
	// SourceAbsent does not exist in this cluster (the kind is not served).
	SourceAbsent SourceStatus = "absent"
)

// Settled reports whether the source has said all it can say for now, be it an
// answer or a refusal.
func (s SourceStatus) Settled() bool { return s != SourcePending }

// Source is the state of one place facts come from. Names are a group, or a
// group and a part of it: "kube", "kube/pods", "metrics/nodes".
type Source struct {
	Cluster    string        `json:"cluster"`
	Name       string        `json:"name"`
	Status     SourceStatus  `json:"status"`
	ObservedAt time.Time     `json:"observedAt,omitzero"`  // last moment its items were known to be current
	Error      string        `json:"error"`                // what failed, empty when ok
	Hint       string        `json:"hint,omitempty"`       // what the reader can do about Error
	Latency    time.Duration `json:"-"`                    // of the last answer; latencySeconds in JSON
	Interval   time.Duration `json:"-"`                    // how often a polled source is asked; 0 when it is watched
	Items      int           `json:"items"`                // objects held
	Optional   bool          `json:"optional"`             // its absence is no trouble (metrics, for one)
	Remembered bool          `json:"remembered,omitempty"` // its items are from before this start
}

// Group is the part of the name before the slash: what the header shows.
func (s Source) Group() string {
	group, _, _ := strings.Cut(s.Name, "/")
	return group
}

// Holds reports whether the source said something at any time, be it old or from
// before this start.
func (s Source) Holds() bool {
	return s.Status == SourceOK || s.Status == SourceStale || s.Status == SourcePending && !s.ObservedAt.IsZero()
}

// Age is how long ago its items were known to be current, or -1 when they never were.
func (s Source) Age(now time.Time) time.Duration {
	if s.ObservedAt.IsZero() {
		return -1
	}
	return max(0, now.Sub(s.ObservedAt))
}

// aged gives the source with its status judged against the clock: an answer
// that is not renewed in time turns stale even if nothing reported a failure.
func (s Source) aged(now time.Time, staleAfter time.Duration) Source {
	if s.Status == SourceOK && s.Age(now) > staleAfter+2*s.Interval {
		s.Status = SourceStale
		if s.Error == "" {
			s.Error = "no answer since " + s.ObservedAt.UTC().Format(time.RFC3339)
		}
	}
	return s
}

// sourceJSON carries the fields whose Go type is not their JSON type.
type sourceJSON struct {
	sourceFields
	LatencySeconds  float64 `json:"latencySeconds"`
	IntervalSeconds float64 `json:"intervalSeconds,omitempty"`
}

type sourceFields Source

// MarshalJSON writes durations as seconds.
func (s Source) MarshalJSON() ([]byte, error) {
	return json.Marshal(sourceJSON{sourceFields(s), seconds(s.Latency), seconds(s.Interval)})
}

// UnmarshalJSON reads what MarshalJSON writes.
func (s *Source) UnmarshalJSON(b []byte) error {
	var j sourceJSON
	if err := json.Unmarshal(b, &j); err != nil {
		return err
	}
	*s = Source(j.sourceFields)
	s.Latency, s.Interval = duration(j.LatencySeconds), duration(j.IntervalSeconds)
	return nil
}

// Section is what one source said: its items, and how good they are. Items are
// never changed after the section was handed out; a change makes a new slice.
type Section[T any] struct {
	Source Source
	Items  []*T
}

func seconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1e6 }

// duration rounds, as a fraction such as 0.004043 has no exact form.
func duration(s float64) time.Duration { return time.Duration(math.Round(s * float64(time.Second))) }
