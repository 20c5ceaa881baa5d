package model

import "fmt"

// Severity ranks a finding. The order is the one exit codes and the screen use:
// what is known to be broken comes before what could not be looked at.
type Severity int

const (
	// OK is healthy, and known to be.
	OK Severity = iota
	// Warning needs attention but nothing has stopped.
	Warning
	// Unknown could not be looked at; never to be taken for healthy.
	Unknown
	// Critical is down or lost.
	Critical
)

var severityNames = [...]string{OK: "ok", Warning: "warning", Unknown: "unknown", Critical: "critical"}

func (s Severity) String() string {
	if s < 0 || int(s) >= len(severityNames) {
		return fmt.Sprintf("severity(%d)", int(s))
	}
	return severityNames[s]
}

// MarshalText writes the lower-case name.
func (s Severity) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads the lower-case name.
func (s *Severity) UnmarshalText(b []byte) error {
	for i, n := range severityNames {
		if n == string(b) {
			*s = Severity(i)
			return nil
		}
	}
	return fmt.Errorf("unknown severity %q", b)
}

// CheckCode is the exit code monitoring plugins use: 0 ok, 1 warning, 2
// critical, 3 unknown.
func (s Severity) CheckCode() int {
	switch s {
	case OK:
		return 0
	case Warning:
		return 1
	case Critical:
		return 2
	default:
		return 3
	}
}

// Reason is one finding behind the overall status, most severe first in World.
type Reason struct {
	Severity Severity `json:"severity"`
	Cluster  string   `json:"cluster"`
	Site     string   `json:"site"`   // empty when no single site is meant
	Object   string   `json:"object"` // "node/moka-1", "Deployment/web/blog", "source/kube"
	Text     string   `json:"text"`
}
