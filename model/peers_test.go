package model

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"
)

// onTailnet adds a tailnet on which every node's machine answers, seen from moka-1.
func onTailnet(b *builder) *TailnetFacts {
	t := &TailnetFacts{Name: "tn.example", Online: true, Local: okSource(SourceTailnet)}
	t.Peers.Source, t.Pings.Source = okSource(SourcePeers), okSource(SourcePings)
	for _, s := range []*Source{&t.Local, &t.Peers.Source, &t.Pings.Source} {
		s.Cluster = ""
	}
	for _, n := range b.c.Nodes.Items {
		p := t.peer(n.Name, n.Address("InternalIP"))
		if p.Self = n.Name == "moka-1"; !p.Self {
			t.answer(p.ID, 0.040)
		}
	}
	return t
}

func (f *TailnetFacts) peer(name, address string) *PeerFact {
	p := &PeerFact{
		Tailnet: f.Name, ID: "id-" + name, Name: name + ".tn.example", HostName: name, OS: "linux", Online: true, Active: true,
		Addresses: []string{address}, Endpoint: "203.0.113.5:41641", Relay: "jnb", Created: ago(time.Hour),
	}
	f.Peers.Items = append(f.Peers.Items, p)
	return p
}

func (f *TailnetFacts) answer(id string, rtt float64) {
	f.drop(id)
	f.Pings.Items = append(f.Pings.Items, &Ping{Peer: id, At: ago(time.Second), OKAt: ago(time.Second), RTT: rtt, Path: PathDirect, Via: "203.0.113.5:41641", Sent: 5})
}

// silence has every machine of the site lose its last pings.
func (f *TailnetFacts) silence(site string) {
	for _, p := range f.Peers.Items {
		if strings.HasPrefix(p.HostName, site) && !p.Self {
			f.drop(p.ID)
			f.Pings.Items = append(f.Pings.Items, &Ping{Peer: p.ID, At: ago(time.Second), OKAt: ago(time.Minute), RTT: 0.04, Failures: 3, Sent: 5, Lost: 3})
		}
	}
}

func (f *TailnetFacts) drop(id string) {
	f.Pings.Items = slices.DeleteFunc(f.Pings.Items, func(p *Ping) bool { return p.Peer == id })
}

func (b *builder) worldOn(t *TailnetFacts) *World {
	return Assemble(Facts{Clusters: []ClusterFacts{b.c}, Tailnets: []TailnetFacts{*t}}, moment, Options{})
}

func peerOf(t *testing.T, w *World, node string) *Peer {
	t.Helper()
	for _, p := range w.Peers {
		if p.Node == node {
			return p
		}
	}
	t.Fatalf("no peer is %s", node)
	return nil
}

func TestPeersAreFoundByWhatTellsMost(t *testing.T) {
	for _, tc := range []struct {
		by    string
		spoil func(n *NodeFact, p *PeerFact)
	}{
		{"address", func(*NodeFact, *PeerFact) {}},
		{"annotation", func(n *NodeFact, p *PeerFact) {
			n.Addresses[0].Address = "192.168.1.10"
			n.Annotations = map[string]string{"k3s.io/internal-ip": "fd00::9, " + p.Addresses[0]}
		}},
		{"route", func(n *NodeFact, p *PeerFact) {
			n.Addresses[0].Address = "192.168.1.10"
			n.PodCIDRs, p.Routes = []string{"10.42.7.0/24"}, []string{"10.42.7.0/24"}
			p.Name, p.HostName = "box.tn.example", "box"
		}},
		{"name", func(n *NodeFact, p *PeerFact) {
			n.Addresses[0].Address, p.HostName, p.Name = "192.168.1.10", "box", "Flacq-2.tn.example"
		}},
		{"host name", func(n *NodeFact, p *PeerFact) {
			n.Addresses[0].Address, p.Name = "192.168.1.10", "other.tn.example"
		}},
	} {
		b := houses()
		f := onTailnet(b)
		for i, n := range b.c.Nodes.Items {
			if n.Name == "flacq-2" {
				tc.spoil(n, f.Peers.Items[i])
			}
		}
		p := peerOf(t, b.worldOn(f), "flacq-2")
		if p.MatchedBy != tc.by || p.Site != "flacq" || p.Cluster != "test" {
			t.Errorf("%s: told by its %q, in %q", tc.by, p.MatchedBy, p.Site)
		}
	}
}

// A machine that was registered again leaves its old self behind.
func TestOldSelvesAreNotClashes(t *testing.T) {
	b := houses()
	f := onTailnet(b)
	old := f.peer("flacq-2", "100.64.0.99")
	old.ID, old.Online, old.Created = "id-old", false, ago(1000*time.Hour)
	for _, n := range b.c.Nodes.Items {
		if n.Name == "flacq-2" {
			n.Addresses = append(n.Addresses, Address{"InternalIP", "100.64.0.99"})
		}
	}
	w := b.worldOn(f)
	if p := peerOf(t, w, "flacq-2"); p.ID != "id-flacq-2" {
		t.Errorf("the old self was taken: %s", p.ID)
	}
	old.Online = true
	w = b.worldOn(f)
	if !slices.ContainsFunc(w.Reasons, func(r Reason) bool {
		return r.Object == "node/flacq-2" && strings.Contains(r.Text, "2 tailnet machines")
	}) {
		t.Errorf("two live machines of one address: %+v", w.Reasons)
	}
}

func TestSiteCausesByLayers(t *testing.T) {
	lost := func(b *builder, site string) {
		for _, n := range b.c.Nodes.Items {
			if n.Labels[zoneLabel] == site {
				n.Conditions[0].Status = "Unknown"
			}
		}
	}
	for name, tc := range map[string]struct {
		spoil  func(b *builder, f *TailnetFacts)
		status SiteStatus
		cause  Cause
		words  string
	}{
		"all well":        {func(*builder, *TailnetFacts) {}, SiteOK, CauseNone, ""},
		"house dark":      {func(b *builder, f *TailnetFacts) { lost(b, "flacq"); f.silence("flacq") }, SiteDark, CauseDark, "house dark"},
		"kubelets only":   {func(b *builder, _ *TailnetFacts) { lost(b, "flacq") }, SiteDown, CauseKubelet, "yet 3 of 3 machines answer"},
		"link only":       {func(_ *builder, f *TailnetFacts) { f.silence("flacq") }, SiteDegraded, CauseLink, "none of its machines answers us"},
		"no API":          {func(b *builder, _ *TailnetFacts) { outage(b) }, SiteUnknown, CauseAPI, "3 of 3 machines answer"},
		"no API, no site": {func(b *builder, f *TailnetFacts) { outage(b); f.silence("flacq") }, SiteDark, CauseDark, "none of its machines answers"},
		"we are offline": {func(b *builder, f *TailnetFacts) { outage(b); f.silence("flacq"); f.silence("curepipe") },
			SiteUnknown, CauseAPI, "0 of 3 machines answer"},
		"daemon gone": {func(b *builder, f *TailnetFacts) { lost(b, "flacq"); f.silence("flacq"); f.Local.Status = SourceFailed },
			SiteDark, CauseDark, "house dark"},
		"daemon gone, site up": {func(_ *builder, f *TailnetFacts) { f.silence("flacq"); f.Local.Status = SourceFailed }, SiteOK, CauseNone, ""},
	} {
		b := houses()
		f := onTailnet(b)
		tc.spoil(b, f)
		w := b.worldOn(f)
		s := w.Site("flacq")
		if s.Status != tc.status || s.Cause != tc.cause || !strings.Contains(s.Words(moment), tc.words) {
			t.Errorf("%s: %s by %q: %q", name, s.Status, s.Cause, s.Words(moment))
		}
		if offline := name == "we are offline"; w.Offline() != offline {
			t.Errorf("%s: offline is %v", name, !offline)
		}
		if tc.status != SiteOK && w.Status == OK {
			t.Errorf("%s: nothing is said", name)
		}
	}
}

// outage takes the API server away, nothing of which was ever renewed since.
func outage(b *builder) {
	for _, s := range []*Source{&b.c.API, &b.c.Nodes.Source, &b.c.Pods.Source, &b.c.Leases.Source} {
		s.Status, s.Error = SourceStale, "connection refused"
	}
}

func TestLinks(t *testing.T) {
	b := houses()
	f := onTailnet(b)
	w := b.worldOn(f)
	if len(w.Links) != 3 || w.Here() != "moka" {
		t.Fatalf("%d links from %s", len(w.Links), w.Here())
	}
	for _, l := range w.Links {
		if l.Severity() != OK || l.RTT != 0.040 || l.Path != PathDirect {
			t.Errorf("%+v", l)
		}
	}
	for _, p := range f.Pings.Items {
		if p.Peer == "id-flacq-1" || p.Peer == "id-flacq-2" || p.Peer == "id-flacq-3" {
			p.RTT = 0.7
		}
	}
	w = b.worldOn(f)
	link := w.Links[slices.IndexFunc(w.Links, func(l *Link) bool { return l.To == "flacq" })]
	if !strings.Contains(link.Problem, "700 ms apart") {
		t.Errorf("voters far apart: %+v", link)
	}
	f.silence("flacq")
	w = b.worldOn(f)
	link = w.Links[slices.IndexFunc(w.Links, func(l *Link) bool { return l.To == "flacq" })]
	if link.Answering != 0 || link.Severity() != Critical {
		t.Errorf("a dead link: %+v", link)
	}
}

// A link is lossy when its machines lost more than a ping each.
func TestLossyLinks(t *testing.T) {
	for lost, want := range map[int]string{0: "", 1: "", 2: "20 % of pings lost"} {
		b := houses()
		f := onTailnet(b)
		for _, p := range f.Pings.Items {
			if strings.HasPrefix(p.Peer, "id-flacq-") {
				p.Sent, p.Lost = 10, lost
			}
		}
		w := b.worldOn(f)
		link := w.Links[slices.IndexFunc(w.Links, func(l *Link) bool { return l.To == "flacq" })]
		if link.Problem != want || *link.Loss != float64(lost)/10 {
			t.Errorf("%d of 10 lost: %q, %v", lost, link.Problem, *link.Loss)
		}
	}
}

func TestKeysThatRunOut(t *testing.T) {
	b := houses()
	f := onTailnet(b)
	f.Peers.Items[3].KeyExpiry = moment.Add(5 * 24 * time.Hour)
	w := b.worldOn(f)
	if !slices.ContainsFunc(w.Reasons, func(r Reason) bool { return strings.Contains(r.Text, "expires in 5d") }) || w.Status != Warning {
		t.Errorf("%v %+v", w.Status, w.Reasons)
	}
}

// Phones and laptops are neither pinged nor judged.
func TestStrangersAreLeftAlone(t *testing.T) {
	b := houses()
	f := onTailnet(b)
	phone := f.peer("phone", "100.64.9.9")
	phone.OS, phone.Online = "android", false
	w := b.worldOn(f)
	if w.Status != OK || slices.Contains(w.PingTargets(), phone.ID) || len(w.PingTargets()) != len(b.c.Nodes.Items)-1 {
		t.Errorf("%v, targets %v, %+v", w.Status, w.PingTargets(), w.Reasons)
	}
	empty := &builder{ClusterFacts{Name: "test", API: okSource(SourceAPI)}}
	if got := empty.worldOn(f).PingTargets(); slices.Contains(got, phone.ID) || len(got) == 0 {
		t.Errorf("without nodes: %v", got)
	}
}

func TestTailnetInADocument(t *testing.T) {
	b := houses()
	f := onTailnet(b)
	f.silence("flacq")
	w := b.worldOn(f)
	doc, err := json.Marshal(w)
	if err != nil {
		t.Fatal(err)
	}
	facts, at, err := Read(strings.NewReader(string(doc)))
	if err != nil {
		t.Fatal(err)
	}
	again, err := json.Marshal(Assemble(facts, at, Options{}))
	if err != nil || string(again) != string(doc) {
		t.Errorf("%v: the document came back changed:\n%s\n%s", err, doc, again)
	}
}
