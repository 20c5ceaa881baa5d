package actions

import (
	"errors"
	"slices"
	"strings"

	"github.com/geotop/geotop/model"
)

// Offer is an action that could be done to an object.
type Offer struct {
	Action string
	Words  string // what it does
	Why    string // why it is not to be had; "" when it is
}

// offered are the actions there are, on which kinds of objects.
var offered = []struct {
	action string
	on     []string
	words  string
	plan   func(w *model.World, object string) (*model.Plan, error)
}{
	{"cordon", []string{"site", "node"}, "let no new pods onto it", Cordon},
	{"uncordon", []string{"site", "node"}, "let pods onto it again", Uncordon},
	{"drain", []string{"site", "node"}, "cordon it and have its pods go elsewhere", Drain},
	{"outage", []string{"site"}, "get it ready to be switched off: back up, move copies, cordon, drain", Outage},
	{"return", []string{"site", "node"}, "power is back: into service, uncordon, watch until all is well", Return},
	{"dead", []string{"site", "node"}, "it is dark and stays so: have its pods and volumes go elsewhere", Dead},
	{"delete", []string{"pod"}, "end this pod", DeletePod},
	{"restart", []string{"Deployment", "StatefulSet", "DaemonSet"}, "have all its pods made anew", Restart},
	{"backup", []string{"volume", "site"}, "back up, one after another, until it is in the bucket", backupOf},
	{"rebalance", []string{"volume", "site"}, "move copies so that each is in another house", rebalanceOf},
	{"backup stale", []string{"volume", "site"}, "back up what has no good backup of the last day", staleOf},
}

func backupOf(w *model.World, object string) (*model.Plan, error) { return Backup(w, object) }

func rebalanceOf(w *model.World, object string) (*model.Plan, error) { return Rebalance(w, object) }

// staleOf is for the volumes of a site; from a volume, for all there are.
func staleOf(w *model.World, object string) (*model.Plan, error) {
	kind, name, _ := strings.Cut(object, "/")
	if kind != "site" {
		name = ""
	}
	return Backup(w, "stale/"+name)
}

// Offers lists what could be done to an object ("site/moka", "node/moka-1"), and why
// not where that is so.
func Offers(w *model.World, object string) []Offer {
	kind, _, _ := strings.Cut(object, "/")
	list := []Offer{}
	for _, o := range offered {
		if !slices.Contains(o.on, kind) {
			continue
		}
		offer := Offer{Action: o.action, Words: o.words}
		if _, err := o.plan(w, object); err != nil {
			offer.Why = err.Error()
		}
		list = append(list, offer)
	}
	return list
}

// PlanFor plans an action on an object.
func PlanFor(w *model.World, action, object string) (*model.Plan, error) {
	kind, _, _ := strings.Cut(object, "/")
	for _, o := range offered {
		if o.action == action && slices.Contains(o.on, kind) {
			return o.plan(w, object)
		}
	}
	return nil, unknown("%s is not for a %s", action, model.Clean(kind, 40))
}

// Why gives the reasons of a refusal one by one; those of another error as one.
func Why(err error) []string {
	var r *RefusedError
	if errors.As(err, &r) {
		return r.Why
	}
	return []string{words(err)}
}
