package model

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// StoreRules is what a store does to a bucket's objects by itself.
type StoreRules struct {
	Versioned bool          `json:"versioned"` // what is deleted is kept as an old version
	Expiry    []StoreExpiry `json:"expiry"`    // enabled lifecycle rules
}

// StoreExpiry is a lifecycle rule that deletes (S3 GetBucketLifecycleConfiguration).
type StoreExpiry struct {
	ID     string    `json:"id"`
	Prefix string    `json:"prefix"`      // of the objects it is for; empty for all
	Days   int       `json:"days"`        // after which it deletes; 0 for never
	On     time.Time `json:"on,omitzero"` // the day from which it deletes; zero for none
	Old    bool      `json:"oldVersions"` // it deletes old versions
	Tagged bool      `json:"onlyTagged"`  // it is for objects of a tag alone
}

// covers reports whether the rule is for objects that Longhorn keeps. Those have
// no tags.
func (e StoreExpiry) covers(prefix string) bool {
	ours := prefix + "backupstore/"
	return !e.Tagged && (strings.HasPrefix(ours, e.Prefix) || strings.HasPrefix(e.Prefix, ours))
}

// judgeRules reports what would delete parts of backups, and what keeps what
// Longhorn deleted: blocks are shared, so the age of one says nothing of whether
// a new backup needs it.
func (w *World) judgeRules(f *StoreFacts) {
	if f.Rules == nil {
		return
	}
	for _, e := range f.Rules.Expiry {
		if e.covers(f.Prefix) && (e.Days > 0 || !e.On.IsZero()) {
			after := fmt.Sprintf("%d days old", e.Days)
			if e.Days == 0 {
				after = "from " + e.On.Format(time.DateOnly) + " on"
			}
			w.reason(Warning, f.Cluster, "", SourceStore+"/"+f.Target,
				fmt.Sprintf("lifecycle rule %q of bucket %s deletes objects %s: new backups share blocks with old ones, and lose them", e.ID, f.Bucket, after))
		}
	}
	if f.Rules.Versioned && !slices.ContainsFunc(f.Rules.Expiry, func(e StoreExpiry) bool { return e.Old && e.covers(f.Prefix) }) {
		w.Hints = append(w.Hints, fmt.Sprintf("bucket %s keeps every version for ever: what Longhorn deletes goes on taking room; a lifecycle rule for old versions would free it", f.Bucket))
	}
}
