package main

import (
	"fmt"
	"sync"
	"time"

	"github.com/geotop/geotop/model"
	"github.com/geotop/geotop/survive"
)

// judge asks what breaks when a house is lost, and what would help. Where that
// takes long it is asked anew when a machine comes or goes, and else only so often
// that it takes a thousandth of the time.
type judge struct {
	eager bool // the first World is the only one: it must have everything
	tries int  // of what would help, at least

	mu            sync.Mutex
	shown         bool   // a World that is whole was given away
	whole         bool   // the last verdicts are of one
	ready         string // machines that were then, by site
	verdicts      []*model.Verdict
	fixes         []*model.Fix
	again, fixing time.Time // when to ask anew
}

const (
	leisure = 1000
	cheap   = 5 * time.Millisecond
	// With more pods than that the screen shows them before it shows verdicts.
	manyPods = 5000
	// What would help is tried on so many copies of the World at most, and on fewer
	// when it has many pods; for those who ask for just that, on some in any case.
	mostTries    = 64
	affordable   = 20_000 // pods
	patientTries = 8
)

func (j *judge) of(w *model.World) *model.World {
	if w.Awaits(model.SourceNodes, model.SourcePods) {
		return w
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	whole, first := w.Settled(), !j.shown && !j.eager
	j.shown = j.shown || whole
	if first && len(w.Pods) > manyPods {
		return w
	}
	ready := ""
	for _, s := range w.Sites {
		ready += fmt.Sprintf("%s %d/%d ", s.Name, s.Ready, s.Nodes)
	}
	now := time.Now()
	if j.verdicts == nil || ready != j.ready || whole && !j.whole || now.After(j.again) {
		j.ready, j.whole = ready, whole
		j.verdicts = survive.New(w).Each()
		survive.Advise(j.verdicts, j.fixes)
		j.again = leisurely(now)
	}
	if tries := max(j.tries, min(mostTries, affordable/(len(w.Pods)+1))); whole && !first && tries > 0 && now.After(j.fixing) {
		began := time.Now()
		j.verdicts, j.fixes = survive.Ask(w, tries)
		j.again, j.fixing = leisurely(began), leisurely(began)
	}
	return w.WithVerdicts(j.verdicts, j.fixes)
}

// leisurely is when to do again what began then and has just been done.
func leisurely(began time.Time) time.Time {
	if took := time.Since(began); took > cheap {
		return began.Add(leisure * took)
	}
	return began
}
