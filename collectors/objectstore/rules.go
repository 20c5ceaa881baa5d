package objectstore

import (
	"cmp"
	"context"
	"time"

	"github.com/geotop/geotop/model"
)

// rules asks what the store itself does to the bucket's objects. It is nil where
// the store does not say, or not to us.
func (b *bucket) rules(ctx context.Context) *model.StoreRules {
	ctx, cancel := context.WithTimeout(ctx, replyTimeout)
	defer cancel()
	versions, err := b.client.GetBucketVersioning(ctx, b.name)
	if err != nil {
		return nil
	}
	r := &model.StoreRules{Versioned: versions.Enabled(), Expiry: []model.StoreExpiry{}}
	cfg, err := b.client.GetBucketLifecycle(ctx, b.name)
	if err != nil || cfg == nil {
		return r // most buckets have none, and say so by an error
	}
	for _, rule := range cfg.Rules {
		if rule.Status != "Enabled" {
			continue
		}
		e := model.StoreExpiry{
			ID:     model.Clean(rule.ID, 80),
			Prefix: model.Clean(cmp.Or(rule.RuleFilter.Prefix, rule.RuleFilter.And.Prefix, rule.Prefix), 300),
			Days:   cmp.Or(int(rule.Expiration.Days), rule.AllVersionsExpiration.Days),
			Old:    rule.NoncurrentVersionExpiration.NoncurrentDays > 0 || rule.NoncurrentVersionExpiration.NewerNoncurrentVersions > 0,
			Tagged: !rule.RuleFilter.Tag.IsEmpty() || len(rule.RuleFilter.And.Tags) > 0,
		}
		if date := rule.Expiration.Date; !date.IsZero() {
			e.On = date.UTC().Truncate(time.Second)
		}
		r.Expiry = append(r.Expiry, e)
	}
	return r
}
