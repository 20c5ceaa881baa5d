package kube

import (
	"context"
	"encoding/json"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/geotop/geotop/collectors"
	"github.com/geotop/geotop/model"
)

// group is an API group of custom resources, which a cluster may have or not.
type group struct {
	api           *api
	name, version string
	none, other   string // what to say when it is not served, and when it is in other versions only

	mu     sync.Mutex
	absent string // why it is not there; empty while that is not known, or it is
}

// await asks for the group until it is there. It reports false when ctx ended first.
func (g *group) await(ctx context.Context) bool {
	for ctx.Err() == nil {
		body, err := g.api.get(ctx, g.api.request().AbsPath("/apis/"+g.name).SetHeader("Accept", "application/json"))
		var served struct{ Versions []struct{ Version string } }
		if err == nil && json.Unmarshal(body, &served) == nil {
			for _, v := range served.Versions {
				if v.Version == g.version {
					g.missing("")
					return true
				}
			}
			g.missing(g.other)
		}
		switch {
		case apierrors.IsNotFound(err):
			g.missing(g.none)
			collectors.Pause(ctx, deniedRetry)
		case err != nil && outcome(err) == model.SourceFailed:
			collectors.Pause(ctx, time.Second)
			g.api.waitAnswers(ctx)
		case err != nil:
			return true // may not ask for the group: the kinds themselves will tell
		default:
			collectors.Pause(ctx, deniedRetry)
		}
	}
	return false
}

func (g *group) missing(why string) {
	g.mu.Lock()
	news := g.absent != why
	g.absent = why
	g.mu.Unlock()
	if news {
		g.api.changed()
	}
}

// part is a section of the group's, absent with it.
func part[T any](g *group, m *mirror[T], server model.Source) model.Section[T] {
	s := m.section(server)
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.absent != "" {
		s.Source.Status, s.Source.Error = model.SourceAbsent, g.absent
	}
	return s
}
