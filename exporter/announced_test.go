package main

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/podnet-exporter/podnet_exporter/exporter/discovery"
	"github.com/podnet-exporter/podnet_exporter/probers"
)

func TestAnnouncedStatesGoOverReady(t *testing.T) {
	mesh := []*discovery.Node{
		{Name: "n1", State: discovery.Ready}, {Name: "n2", State: discovery.Ready},
		{Name: "n3", State: discovery.NotReady}, {Name: "n4", State: discovery.Ready},
	}
	states := func(nodes []*discovery.Node) (all []discovery.State) {
		for _, n := range nodes {
			all = append(all, n.State)
		}
		return all
	}
	var a announced
	if a.take() {
		t.Error("take() before anything was said = true")
	}
	a.note("n1", probers.UDPUsual)
	if a.take() {
		t.Error("take() = true; that a node is as usual is nothing new")
	}
	a.note("n2", probers.UDPCordoned)
	a.note("n3", probers.UDPDraining)
	a.note("n9", probers.UDPDraining)
	if !a.take() || a.take() {
		t.Error("take() is not true exactly once after a change")
	}
	want := []discovery.State{discovery.Ready, discovery.Cordoned, discovery.NotReady, discovery.Ready}
	if diff := cmp.Diff(want, states(a.over(mesh))); diff != "" {
		t.Errorf("over() (-want +got):\n%s", diff)
	}
	if mesh[1].State != discovery.Ready {
		t.Error("over() changed the snapshot")
	}
	if _, kept := a.states["n9"]; kept {
		t.Error("a node that is not in the mesh is remembered")
	}

	a.note("n2", probers.UDPDraining)
	if got := a.over(mesh)[1].State; got != discovery.Draining {
		t.Errorf("after cordon and drain n2 is %s", got)
	}
	a.note("n2", probers.UDPUsual)
	if got := a.over(mesh)[1].State; got != discovery.Ready || !a.take() {
		t.Errorf("after the end of maintenance n2 is %s", got)
	}
}

func TestAnnouncementsComeBackAsTheyWereMeant(t *testing.T) {
	for _, s := range []discovery.State{discovery.Ready, discovery.NotReady, discovery.Cordoned, discovery.Draining} {
		var a announced
		a.note("n", announcement(s))
		want := s
		if s == discovery.NotReady {
			want = discovery.Ready // who answers is up
		}
		if got := a.over([]*discovery.Node{{Name: "n", State: discovery.Ready}})[0].State; got != want {
			t.Errorf("%s is announced as %s", s, got)
		}
	}
}
