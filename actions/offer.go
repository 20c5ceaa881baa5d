package actions

import (
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/geotop/geotop/model"
)

// Offer is an action that could be done to an object.
type Offer struct {
	Action string
	Words  string // what it does
	Why    string // why it is not to be had; "" when it is
	Ask    string // what is to be answered before it can be planned; "" for nothing
	Answer string // one that may do
}

// offered are the actions there are, on which kinds of objects.
var offered = []offer{
	{action: "cordon", on: houses, words: "let no new pods onto it", plan: each(Cordon)},
	{action: "uncordon", on: houses, words: "let pods onto it again", plan: each(Uncordon)},
	{action: "drain", on: houses, words: "cordon it and have its pods go elsewhere", plan: each(Drain)},
	{action: "outage", on: houses[:1], words: "get it ready to be switched off: back up, move copies, cordon, drain", plan: each(Outage)},
	{action: "return", on: houses, words: "power is back: into service, uncordon, watch until all is well", plan: each(Return)},
	{action: "dead", on: houses, words: "it is dark and stays so: have its pods and volumes go elsewhere", plan: each(Dead)},
	{action: "delete", on: []string{"pod"}, words: "end this pod", plan: each(DeletePod)},
	{action: "restart", on: []string{"Deployment", "StatefulSet", "DaemonSet"}, words: "have all its pods made anew", plan: each(Restart)},
	{action: "scale", on: scalable, words: "have more pods, or fewer", ask: "how many pods", suggest: podsNow,
		plan: func(w *model.World, objects []string, n string) (*model.Plan, error) { return Scale(w, objects[0], n) }},
	{action: "backup", on: stored, many: true, words: "back up, one after another, until it is in the bucket",
		plan: func(w *model.World, objects []string, _ string) (*model.Plan, error) { return Backup(w, objects...) }},
	{action: "rebalance", on: stored, many: true, words: "move copies so that each is in another house",
		plan: func(w *model.World, objects []string, _ string) (*model.Plan, error) { return Rebalance(w, objects...) }},
	{action: "backup stale", on: stored, words: "back up what has no good backup of the last day", plan: each(staleOf)},
	{action: "restore", on: []string{"backup"}, words: "make a new volume from it; what is there stays", ask: "name of the new volume", suggest: suggestRestore,
		plan: func(w *model.World, objects []string, name string) (*model.Plan, error) {
			return Restore(w, objects[0], name)
		}},
	{action: "delete", on: []string{"backup"}, words: "have Longhorn delete it, in the bucket too", plan: each(DeleteBackup)},
}

var houses, stored = []string{"site", "node"}, []string{"volume", "site"}

// offer is an action, and how it is planned.
type offer struct {
	action  string
	on      []string // kinds of objects
	many    bool     // may be done to several at once
	words   string
	ask     string // what is to be answered first
	suggest func(w *model.World, object string) string
	plan    func(w *model.World, objects []string, answer string) (*model.Plan, error)
}

// each is an action on one object, about which nothing has to be said.
func each(plan func(*model.World, string) (*model.Plan, error)) func(*model.World, []string, string) (*model.Plan, error) {
	return func(w *model.World, objects []string, _ string) (*model.Plan, error) { return plan(w, objects[0]) }
}

func podsNow(w *model.World, object string) string {
	wl, err := workloadAt(w, object)
	if err != nil {
		return ""
	}
	return strconv.Itoa(wl.Desired)
}

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
		offer := Offer{Action: o.action, Words: o.words, Ask: o.ask}
		if o.suggest != nil {
			offer.Answer = o.suggest(w, object)
		}
		_, err := o.plan(w, []string{object}, offer.Answer)
		var r *RefusedError
		if err != nil && (o.ask == "" || !errors.As(err, &r) || !r.Nothing && !r.Unknown) { // another answer may do
			offer.Why = err.Error()
		}
		list = append(list, offer)
	}
	return list
}

// PlanFor plans an action on objects of one kind; answer is to what the offer asks.
func PlanFor(w *model.World, action string, objects []string, answer string) (*model.Plan, error) {
	kind, _, _ := strings.Cut(objects[0], "/")
	for _, o := range offered {
		if o.action != action || !slices.Contains(o.on, kind) {
			continue
		}
		if len(objects) > 1 && !o.many {
			return nil, unknown("%s is for one %s at a time", action, model.Clean(kind, 40))
		}
		return o.plan(w, objects, answer)
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
