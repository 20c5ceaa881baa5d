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
	Tries     []string      // when each of the new pods was made and placed, and what the scheduler said of it
	Wrong     []string      // apps whose pending pods are not as forecast
	Different []string      // apps that differ in anything
	Machines  []string      // what Kubernetes made of them in the end, and why pods wait
	Chance    bool          // it is not the forecast, but one that is as likely
	Soonest   time.Duration // that is as likely; worked out where Took is not as expected
	Latest    time.Duration

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

// times are the soonest and the latest until the last pod is back in the forecasts in
// which chance falls otherwise and the same pods come back.
func (r *Result) times() (soonest, latest time.Duration) {
	a := survive.New(r.world)
	for lots := range uint64(draws) {
		fates := a.Fates(lots+1, r.Lost...)
		if sum(r.byApp(fates)).Placed != sum(r.Outcome).Placed {
			continue
		}
		last := time.Duration(0)
		for _, f := range fates {
			if f.Namespace == namespace && (f.Word == "moves" || f.Word == "starts") {
				last = max(last, f.After)
			}
		}
		if soonest == 0 || last < soonest {
			soonest = last
		}
		latest = max(latest, last)
	}
	return soonest, latest
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

// inTime reports whether the pods were back within 20 % of the forecast, if any came back.
func (r *Result) inTime() bool {
	if r.Expected == 0 || r.Took == 0 {
		return true
	}
	return near(r.Took, r.Expected)
}

// inLikelyTime reports whether they were back within 20 % of a forecast as likely.
func (r *Result) inLikelyTime() bool {
	return r.inTime() || r.Latest > 0 && (near(r.Took, r.Soonest) || near(r.Took, r.Latest) || r.Took > r.Soonest && r.Took < r.Latest)
}

func near(took, expected time.Duration) bool {
	ratio := took.Seconds() / expected.Seconds()
	return ratio > 0.8 && ratio < 1.2
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
	if !r.inTime() {
		r.Soonest, r.Latest = r.times()
	}
}
