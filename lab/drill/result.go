package drill

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/geotop/geotop/model"
	"github.com/geotop/geotop/survive"
)

// siteLabels has geotop take half a house for a site.
var siteLabels = model.Options{SiteLabels: []string{partLabel}}

// Count is how many pods of an app are how.
type Count struct {
	Stay    int `json:"stay,omitempty"`    // run where they ran, on a living node
	Placed  int `json:"placed,omitempty"`  // are new, and have a node
	Pending int `json:"pending,omitempty"` // have none
	Ending  int `json:"ending,omitempty"`  // were asked to go, and are still there
	Away    int `json:"away,omitempty"`    // are on a lost node, and were not asked to go
}

// Result is one loss of a drill.
type Result struct {
	Seed      uint64
	Loss      int      // of the drill's, from 1 on
	Lost      []string // halves of houses
	Nodes     int
	Pods      int
	Forecast  map[string]Count // by app
	Outcome   map[string]Count
	Expected  time.Duration       // until the last pod that comes back is placed; 0 when none does
	Decided   time.Duration       // until no more is to come of it
	Homes     map[string][]string // by app: the nodes of its pods that are new
	Took      time.Duration
	Wrong     []string // apps whose pending pods are not as forecast
	Different []string // apps that differ in anything
	Machines  []string // what Kubernetes made of them in the end, and why pods wait
	Chance    bool     // it is not the forecast, but one that is as likely

	world *model.World // before
}

// draws is how often chance is drawn anew, to see what may happen. In clusters where
// pods make room for each other there are hundreds of ways it may go.
const draws = 2000

// forecast is what geotop says, by app.
func (r *Result) forecast() {
	a := survive.New(r.world)
	fates := a.Fates(0, r.Lost...)
	r.Forecast = r.byApp(fates)
	for _, f := range fates {
		if f.Namespace != namespace {
			continue
		}
		r.Decided = max(r.Decided, f.After)
	}
	r.Expected = a.Back(r.Lost...)
}

// chance reports whether the outcome is one of the forecasts in which what Kubernetes
// leaves to chance falls otherwise: which node is given up first, which of equal ones
// gets a pod, who of equals makes room.
func (r *Result) chance() bool {
	a := survive.New(r.world)
	for lots := range uint64(draws) {
		if maps.Equal(r.byApp(a.Fates(lots+1, r.Lost...)), r.Outcome) {
			return true
		}
	}
	return false
}

func (r *Result) byApp(fates []survive.Fate) map[string]Count {
	counts := map[string]Count{}
	ending := map[string]bool{}
	for _, p := range r.world.Pods {
		ending[p.Name] = p.Terminating()
	}
	for _, f := range fates {
		if f.Namespace != namespace {
			continue
		}
		app := f.Workload[strings.LastIndexByte(f.Workload, '/')+1:]
		c := counts[app]
		if ending[f.Pod] {
			f.Word = "ends" // as it did before
		}
		switch f.Word {
		case "stays":
			c.Stay++
		case "away":
			c.Away++
		case "moves":
			c.Placed++
			c.Ending++
		case "starts":
			c.Placed++
		case "pends":
			c.Pending++
			c.Ending++
		case "waited":
			c.Pending++
		case "hangs", "ends":
			c.Ending++
		}
		if f.Freed && c.Ending > 0 {
			c.Ending--
		}
		counts[app] = c
	}
	return counts
}

// compare finds where the forecast was wrong.
func (r *Result) compare() {
	apps := map[string]bool{}
	for a := range r.Forecast {
		apps[a] = true
	}
	for a := range r.Outcome {
		apps[a] = true
	}
	for _, a := range slices.SortedFunc(maps.Keys(apps), func(a, b string) int { return cmp.Compare(a, b) }) {
		f, o := r.Forecast[a], r.Outcome[a]
		if f.Pending != o.Pending {
			r.Wrong = append(r.Wrong, a)
		}
		if f != o {
			r.Different = append(r.Different, fmt.Sprintf("%s: forecast %+v, outcome %+v", a, f, o))
		}
	}
	r.Chance = len(r.Different) > 0 && r.chance()
}
