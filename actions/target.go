package actions

import (
	"fmt"
	"slices"
	"strings"

	"github.com/geotop/geotop/model"
)

// target is a machine or the machines of a whole site.
type target struct {
	site  string // "" for a machine
	nodes []*model.Node
}

func (t *target) object() string {
	if t.site != "" {
		return "site/" + t.site
	}
	return "node/" + t.nodes[0].Name
}

// name is what people call it.
func (t *target) name() string {
	if t.site != "" {
		return t.site
	}
	return t.nodes[0].Name
}

func (t *target) cluster() string { return t.nodes[0].Cluster }

// aim finds what is meant by site/NAME, node/NAME or just NAME.
func aim(w *model.World, what string) (*target, error) {
	if !w.Looked() {
		return nil, refuse("the cluster's nodes could not be read, so nothing is done")
	}
	kind, name, told := strings.Cut(what, "/")
	if !told {
		kind, name = "", what
	}
	var site *target
	if s := w.Site(name); s != nil && (kind == "site" || kind == "") {
		site = &target{site: name}
		for _, n := range w.Nodes {
			if n.Site == name {
				site.nodes = append(site.nodes, n)
			}
		}
	}
	at := slices.IndexFunc(w.Nodes, func(n *model.Node) bool { return n.Name == name && (kind == "node" || kind == "") })
	switch {
	case site != nil && at >= 0:
		return nil, unknown("%q is a site and a machine: say site/%s or node/%s", name, name, name)
	case site != nil && site.site == model.UnknownSite:
		return nil, unknown("%s is no house, but the machines of which it is not known where they stand: name them one by one", name)
	case site != nil && len(site.nodes) == 0:
		return nil, refuse("site %s has no machines", name)
	case site != nil:
		return site, nil
	case at >= 0:
		return &target{nodes: []*model.Node{w.Nodes[at]}}, nil
	default:
		return nil, unknown("no site and no machine is called %q; sites are:%s", model.Clean(name, 80), names(w))
	}
}

func names(w *model.World) string {
	list := ""
	for _, s := range w.Sites {
		list += " " + model.Clean(s.Name, 60)
	}
	return list
}

// newPlan begins a plan for a target; whole sites are agreed to by their name.
func (t *target) newPlan(action string) *model.Plan {
	p := &model.Plan{Cluster: t.cluster(), Action: action, Target: t.object(), Title: action + " " + t.name(), Steps: []*model.Step{}, Warnings: []string{}, Guards: []string{}}
	if t.site != "" {
		p.Confirm = t.site
	}
	return p
}

// guard adds a reason not to do it.
func guard(p *model.Plan, confirm, format string, args ...any) {
	p.Guards = append(p.Guards, fmt.Sprintf(format, args...))
	p.Confirm = confirm
}

func warn(p *model.Plan, format string, args ...any) {
	if text := fmt.Sprintf(format, args...); !slices.Contains(p.Warnings, text) {
		p.Warnings = append(p.Warnings, text)
	}
}

// some counts things in words.
func some(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// nameOf is the name in "kind/name".
func nameOf(object string) string {
	_, name, _ := strings.Cut(object, "/")
	return name
}
