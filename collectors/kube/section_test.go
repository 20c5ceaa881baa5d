package kube

import (
	"testing"
	"time"

	"github.com/geotop/geotop/model"
)

// What a source calls whole must be whole: a list that completes while somebody
// looks gives either its state before or all of it.
func TestAListThatCompletesMeanwhileIsWhole(t *testing.T) {
	m := newMirror(&api{}, kind[model.Pod]{source: model.SourcePods, key: podKey})
	pods := []*model.Pod{{Name: "a"}, {Name: "b"}, {Name: "c"}}
	m.table.set(pods[0]) // the first of a page

	m.mu.Lock() // as complete does
	got := make(chan model.Section[model.Pod])
	go func() { got <- m.section(model.Source{Status: model.SourceOK}) }()
	select {
	case <-got:
		t.Fatal("looked in the middle of a change")
	case <-time.After(50 * time.Millisecond): // it looks now, as far as it is let
	}
	m.table.replace(pods)
	m.source.Status = model.SourceOK
	m.mu.Unlock()
	if s := <-got; s.Source.Status != model.SourceOK || len(s.Items) != len(pods) || s.Source.Items != len(pods) {
		t.Errorf("%s with %d of %d pods", s.Source.Status, len(s.Items), len(pods))
	}
}
