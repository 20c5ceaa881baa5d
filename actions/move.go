package actions

import (
	"context"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/geotop/geotop/model"
	"github.com/geotop/geotop/text"
)

const (
	opMove = "move replica"

	argFrom    = "from"    // site that has two copies
	argVictim  = "victim"  // the copy to give up
	argCopies  = "copies"  // how many there are, and will be
	argBalance = "balance" // the volume's replicaAutoBalance before
	argHad     = "had"     // names of the copies there were, by comma

	// placePatience is how long Longhorn may take to place a copy: it waits for a
	// failed one to come back first.
	placePatience = 15 * time.Minute
	// buildPatience is for how long a copy being built may stand still.
	buildPatience = 30 * time.Minute
	balanceOff    = "disabled"
)

// Rebalance plans to move copies of volumes so that each is in as many houses as it
// has copies. What may be named is said at volumesAt; nothing is all.
func Rebalance(w *model.World, what ...string) (*model.Plan, error) {
	site, refs := "", []string{}
	for _, ref := range what {
		if kind, name, told := strings.Cut(ref, "/"); told && kind == "site" {
			site = name
		} else {
			refs = append(refs, ref)
		}
	}
	if site != "" && w.Site(site) == nil {
		return nil, unknown("no site is called %q; sites are:%s", model.Clean(site, 80), names(w))
	}
	if len(refs) == 0 {
		refs = []string{"all/"}
	}
	volumes, err := volumesAt(w, refs...)
	if err != nil {
		return nil, err
	}
	moves, left := w.Rebalance(volumes, site)
	p := &model.Plan{Cluster: volumes[0].Cluster, Action: "rebalance", Target: "all/", Title: "rebalance replicas", Steps: []*model.Step{}, Warnings: []string{}, Guards: []string{}}
	if len(what) > 0 {
		p.Target = what[0]
	}
	for _, l := range left {
		warn(p, "%s has two copies in a house and stays so: %s", l.Volume.Object(), l.Why)
	}
	bytes := int64(0)
	for _, m := range moves {
		p.Steps = append(p.Steps, moveStep(m))
		bytes += m.Bytes
	}
	if len(moves) == 0 {
		switch {
		case len(left) > 0:
			return nil, &RefusedError{Why: p.Warnings}
		case len(volumes) == 1:
			return nil, nothing("it is in as many houses as it has copies")
		}
		return nil, nothing("every volume is in as many houses as it has copies")
	}
	p.Title = fmt.Sprintf("rebalance: %s, %s over the links", some(len(moves), "copy"), text.Bytes(bytes))
	if len(moves) > 1 {
		p.Title = fmt.Sprintf("rebalance: %d copies, %s over the links", len(moves), text.Bytes(bytes))
	}
	return p, nil
}

func moveStep(m model.Move) *model.Step {
	v := m.Volume
	s := &model.Step{
		Op: opMove, Object: "volume/" + v.Name, State: model.StepWaits,
		Text: fmt.Sprintf("move a copy of %s/%s from %s to %s", v.Namespace, v.Title(), m.From, m.To),
		Args: map[string]string{argFrom: m.From, argVictim: m.Copy.Name},
	}
	s.Effect = text.Bytes(m.Bytes)
	if l := m.Link; l != nil && l.RTT > 0 {
		s.Effect += fmt.Sprintf(" over a link of %.0f ms", l.RTT*1000)
		if l.Path == model.PathDERP {
			s.Effect += ", relayed"
		}
	}
	s.Effect += "; onto " + m.Node + ", or where Longhorn finds more room"
	return s
}

var moveOp = op{
	rights: []right{
		longhornRight("get", "volumes"), longhornRight("patch", "volumes"), longhornRight("list", "replicas"),
		longhornRight("delete", "replicas"), longhornRight("list", "engines"),
	},
	do:   moveReplica,
	undo: unmoveReplica,
}

type lhReplica struct {
	object
	Spec   struct{ NodeID, HealthyAt, FailedAt string }
	Status struct{ CurrentState string }
}

func (r *lhReplica) leaving() bool { return r.Metadata.DeletionTime != nil }

// copies is a volume with its replicas as they are now.
type copies struct {
	volume *lhVolume
	list   []*lhReplica
	modes  map[string]string // by replica: RW, WO, ERR
	build  map[string]int    // per cent of those being built; of all, as Longhorn names addresses
}

// good reports whether the copy is whole and written to.
func (c *copies) good(r *lhReplica) bool {
	return c.modes[r.Metadata.Name] == "RW" && r.Spec.HealthyAt != "" && r.Spec.FailedAt == "" && !r.leaving()
}

func (j *job) copies(ctx context.Context, name string) (*copies, error) {
	v, err := j.volume(ctx, name)
	if apierrors.IsNotFound(err) {
		return nil, refuse("the volume is gone")
	}
	if err != nil {
		return nil, err
	}
	c := &copies{volume: v, modes: map[string]string{}}
	of := url.Values{"labelSelector": {"longhornvolume=" + name}}
	var replicas struct{ Items []*lhReplica }
	if err := j.list(ctx, longhornPath+"replicas", of, &replicas); err != nil {
		return nil, err
	}
	c.list = replicas.Items
	slices.SortFunc(c.list, func(a, b *lhReplica) int { return strings.Compare(a.Metadata.Name, b.Metadata.Name) })
	var engines struct {
		Items []struct {
			Spec   struct{ Active bool }
			Status struct {
				ReplicaModeMap map[string]string
				RebuildStatus  map[string]struct {
					IsRebuilding bool
					Progress     int
				}
			}
		}
	}
	if err := j.list(ctx, longhornPath+"engines", of, &engines); err != nil {
		return nil, err
	}
	for _, e := range engines.Items {
		if !e.Spec.Active && len(engines.Items) > 1 {
			continue
		}
		maps.Copy(c.modes, e.Status.ReplicaModeMap)
		for at, b := range e.Status.RebuildStatus {
			if b.IsRebuilding {
				if c.build == nil {
					c.build = map[string]int{}
				}
				c.build[at] = b.Progress
			}
		}
	}
	return c, nil
}

// whole refuses a volume that had better be left alone, and gives how many copies
// it has.
func (c *copies) whole() (int, error) {
	v, good := c.volume, 0
	for _, r := range c.list {
		if c.good(r) {
			good++
		}
	}
	switch n := v.Spec.NumberOfReplicas; {
	case v.Status.State != "attached":
		return 0, refuse("it is %s: Longhorn makes copies of attached volumes only", v.Status.State)
	case v.Status.Robustness != "healthy" || good != n || len(c.list) != n:
		return 0, refuse("not all of its copies are healthy any more")
	case v.Spec.MigrationNodeID != "" || v.Status.RestoreRequired || v.Status.ExpansionRequired || v.Spec.Standby:
		return 0, refuse("it is being moved, restored or expanded")
	default:
		return n, nil
	}
}

// move is what a step knows of the move it makes.
type move struct {
	j      *job
	s      *model.Step
	name   string
	copies int
	had    []string
	now    *copies
}

func (j *job) move(ctx context.Context, s *model.Step) (*move, error) {
	m := &move{j: j, s: s, name: nameOf(s.Object)}
	if s.Args[argHad] != "" {
		m.copies, _ = strconv.Atoi(s.Args[argCopies])
		m.had = strings.Split(s.Args[argHad], ",")
	}
	return m, m.look(ctx)
}

func (m *move) look(ctx context.Context) (err error) {
	m.now, err = m.j.copies(ctx, m.name)
	return err
}

// begin notes how the volume was, before anything is changed.
func (m *move) begin(ctx context.Context) error {
	n, err := m.now.whole()
	if err != nil {
		return err
	}
	had := []string{}
	for _, r := range m.now.list {
		had = append(had, r.Metadata.Name)
	}
	if !slices.Contains(had, m.s.Args[argVictim]) {
		return refuse("the copy that was to go is not there any more: plan anew")
	}
	args := maps.Clone(m.s.Args)
	args[argCopies], args[argBalance], args[argHad] = strconv.Itoa(n), m.now.volume.Spec.ReplicaAutoBalance, strings.Join(had, ",")
	m.s.Args, m.copies, m.had = args, n, had
	if m.j.record == nil {
		return nil
	}
	return m.j.record.note(ctx, m.j.plan)
}

// added are the copies that were not there before; of those that were, old are left.
func (m *move) added() (added, old []*lhReplica) {
	for _, r := range m.now.list {
		if slices.Contains(m.had, r.Metadata.Name) {
			old = append(old, r)
		} else {
			added = append(added, r)
		}
	}
	return added, old
}

// good counts the whole ones of them.
func (m *move) good(list []*lhReplica) int {
	n := 0
	for _, r := range list {
		if m.now.good(r) {
			n++
		}
	}
	return n
}

// site is the house a copy is in, "" while it has no place or none is known.
func (m *move) site(r *lhReplica) string {
	if w := m.j.World(); w != nil && r.Spec.NodeID != "" {
		if n := w.Node(m.j.plan.Cluster, r.Spec.NodeID); n != nil {
			return n.Site
		}
	}
	return ""
}

// patch changes the volume as it was seen.
func (m *move) patch(ctx context.Context, copies int, balance string) error {
	if err := m.j.mine(ctx); err != nil {
		return err
	}
	v := m.now.volume
	return m.j.merge(ctx, longhornPath+"volumes/"+m.name, map[string]any{
		"metadata": map[string]any{"resourceVersion": v.Metadata.ResourceVersion},
		"spec":     map[string]any{"numberOfReplicas": copies, "replicaAutoBalance": balance},
	})
}

// moveReplica has Longhorn make one copy more, waits until it is whole, lowers the
// number again, and only then deletes the copy that is to go: at no moment there are
// fewer whole copies than there were.
func moveReplica(ctx context.Context, j *job, s *model.Step) error {
	m, err := j.move(ctx, s)
	if err != nil {
		return err
	}
	if len(m.had) == 0 {
		if err := m.begin(ctx); err != nil {
			return err
		}
	}
	since, seen := j.Now(), ""
	for {
		added, old := m.added()
		if len(added) == 0 && len(old) < m.copies {
			return m.back(ctx, "copies were lost or deleted meanwhile")
		}
		stage, next, err := m.advance(ctx, added, old)
		if err != nil || next == done {
			return err
		}
		if stage != seen {
			since, seen = j.Now(), stage
		}
		if patience := map[bool]time.Duration{true: placePatience, false: buildPatience}[len(added) == 0]; j.Now().Sub(since) > patience {
			return m.back(ctx, "nothing moved for "+model.Ago(patience)+": "+stage)
		}
		j.progress(s, stage)
		if next == wait {
			if err := j.rest(ctx); err != nil {
				return err
			}
		}
		if err := m.look(ctx); err != nil {
			return err
		}
	}
}

type next int

const (
	wait next = iota
	again
	done
)

// advance does what is next, from wherever the move stands.
func (m *move) advance(ctx context.Context, added, old []*lhReplica) (stage string, _ next, _ error) {
	v, victim := m.now.volume, m.victim(old)
	raised := v.Spec.NumberOfReplicas > m.copies
	switch {
	case len(added) == 0 && !raised:
		if _, err := m.now.whole(); err != nil {
			return "", done, err
		}
		return "asking Longhorn for a copy more", again, m.patch(ctx, m.copies+1, balanceOff)
	case len(added) == 0:
		return "waiting for Longhorn to place the copy" + m.why(), wait, nil
	case len(added) > 1:
		return "", done, m.back(ctx, "Longhorn made more copies than one")
	}
	fresh := added[0]
	if site := m.site(fresh); site != "" && m.crowds(site, old) {
		return "", done, m.back(ctx, "Longhorn put the copy into "+site+", where there is one")
	}
	switch {
	case fresh.Spec.FailedAt != "":
		return "", done, m.back(ctx, "the new copy failed while it was built")
	case !m.now.good(fresh):
		return "building the copy on " + fresh.Spec.NodeID + m.percent(), wait, nil
	case raised && v.Status.Robustness != "healthy":
		return "waiting for the volume to be healthy", wait, nil
	case raised:
		return "the copy is whole", again, m.patch(ctx, m.copies, balanceOff)
	case victim != nil && m.good(added)+m.good(old) <= m.copies:
		return "", done, m.back(ctx, "another copy is not healthy any more")
	case victim != nil:
		return "deleting the old copy", again, m.remove(ctx, victim)
	case v.Spec.ReplicaAutoBalance != m.s.Args[argBalance]:
		return "putting settings back", again, m.patch(ctx, m.copies, m.s.Args[argBalance])
	default:
		m.s.Note = "now on " + fresh.Spec.NodeID
		return "", done, nil
	}
}

// victim is the copy that is to go, nil once it is gone.
func (m *move) victim(old []*lhReplica) *lhReplica {
	if len(old) < m.copies {
		return nil
	}
	for _, r := range old {
		if r.Metadata.Name == m.s.Args[argVictim] {
			return r
		}
	}
	return nil
}

// crowds reports whether the site holds another copy that stays.
func (m *move) crowds(site string, old []*lhReplica) bool {
	return site == m.s.Args[argFrom] || slices.ContainsFunc(old, func(r *lhReplica) bool {
		return r.Metadata.Name != m.s.Args[argVictim] && m.site(r) == site
	})
}

func (m *move) remove(ctx context.Context, r *lhReplica) error {
	if err := m.j.mine(ctx); err != nil {
		return err
	}
	err := m.j.remove(ctx, longhornPath+"replicas/"+r.Metadata.Name, r.Metadata)
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}

// why is what Longhorn says keeps it from placing a copy.
func (m *move) why() string {
	for _, c := range m.now.volume.Status.Conditions {
		if c.Type == "Scheduled" && c.Status == "False" {
			return ": " + model.Clean(c.Reason+" "+c.Message, 200)
		}
	}
	return ""
}

func (m *move) percent() string {
	for _, p := range m.now.build {
		return fmt.Sprintf(", %d %%", min(p, 100))
	}
	return ""
}

// back puts the volume back as it was, and gives why.
func (m *move) back(ctx context.Context, why string) error {
	m.j.progress(m.s, why+"; putting it back as it was")
	if err := m.restore(ctx); err != nil {
		return err
	}
	return refuse("%s; the volume is as it was", why)
}

// unmoveReplica puts back what a move began. One that came to its end stays.
func unmoveReplica(ctx context.Context, j *job, s *model.Step) error {
	if s.Args[argHad] == "" {
		return &skipped{"was not begun"}
	}
	m, err := j.move(ctx, s)
	if err != nil {
		return err
	}
	if _, old := m.added(); m.victim(old) == nil {
		// The old copy is gone: what is left is to put the settings back.
		if v := m.now.volume; v.Spec.ReplicaAutoBalance != s.Args[argBalance] || v.Spec.NumberOfReplicas != m.copies {
			if err := m.patch(ctx, m.copies, s.Args[argBalance]); err != nil {
				return err
			}
		}
		return &skipped{"was moved already, and stays so"}
	}
	return m.restore(ctx)
}

// restore lowers the number of copies again, takes the new one away if all others
// are whole, and puts the settings back.
func (m *move) restore(ctx context.Context) error {
	for {
		if err := m.look(ctx); err != nil {
			return err
		}
		added, old := m.added()
		v := m.now.volume
		switch {
		case v.Spec.NumberOfReplicas != m.copies || v.Spec.ReplicaAutoBalance != m.s.Args[argBalance] && len(added) == 0:
			balance := m.s.Args[argBalance]
			if len(added) > 0 {
				balance = balanceOff // else Longhorn might choose by itself which copy goes
			}
			if err := m.patch(ctx, m.copies, balance); err != nil {
				return err
			}
		case len(added) > 0 && m.good(old) >= m.copies:
			if err := m.remove(ctx, added[0]); err != nil {
				return err
			}
			m.j.progress(m.s, "taking the new copy away")
			if err := m.j.rest(ctx); err != nil {
				return err
			}
		case len(added) > 0: // one of the others is lost: the new one takes its place
			if v.Spec.ReplicaAutoBalance != m.s.Args[argBalance] {
				if err := m.patch(ctx, m.copies, m.s.Args[argBalance]); err != nil {
					return err
				}
			}
			return nil
		default:
			return nil
		}
	}
}
