package model

import "time"

// Event is a Kubernetes event (core/v1 Event): what happened to an object.
type Event struct {
	Cluster   string    `json:"cluster"`
	Namespace string    `json:"namespace"`
	UID       string    `json:"uid"`
	Kind      string    `json:"kind"` // of the object it is about
	Object    string    `json:"object"`
	Type      string    `json:"type"` // Normal or Warning
	Reason    string    `json:"reason"`
	Message   string    `json:"message"`
	Count     int       `json:"count"`
	First     time.Time `json:"first"`
	Last      time.Time `json:"last"`
	Host      string    `json:"host,omitempty"` // the node that reported it
}

// Severity ranks the event: a Warning is a warning, and so is the loss of a
// node, which Kubernetes calls Normal; the rest is information.
func (e *Event) Severity() Severity {
	if e.Type == "Warning" || e.Reason == "NodeNotReady" {
		return Warning
	}
	return OK
}
