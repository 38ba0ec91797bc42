package probers

import (
	"math/rand/v2"
	"strings"
	"testing"
)

// answers plays one hop: a letter per cycle is who answers, "." is a lost
// probe. It returns the path after that.
func answers(t *testing.T, letters string) *Path {
	t.Helper()
	p := newTestPath(PathOptions{})
	for _, l := range letters {
		w := way{"10.0.1." + string('0'+l-'A'), pathTarget.String()}
		if l == '.' {
			w[0] = ""
		}
		cycle(p, w.answer)
	}
	return p
}

func TestChangesOfAPath(t *testing.T) {
	tests := []struct {
		name    string
		letters string
		want    uint64
	}{
		{"one router", strings.Repeat("A", 50), 0},
		{"another router from then on", strings.Repeat("A", 30) + strings.Repeat("B", 5), 1},
		{"and back", strings.Repeat("A", 30) + strings.Repeat("B", 40) + strings.Repeat("A", 40), 2},
		{"two take turns", strings.Repeat("AB", 30), 0},
		{"two take turns, unevenly", strings.Repeat("AAAB", 20), 0},
		{"three take turns", strings.Repeat("ABCAACB", 10), 0},
		{"two that took turns are replaced", strings.Repeat("AB", 30) + strings.Repeat("C", 20), 1},
		{"one of two that took turns is left", strings.Repeat("AB", 30) + strings.Repeat("A", 40), 0},
		{"a stranger answers once", strings.Repeat("A", 30) + "B" + strings.Repeat("A", 30), 0},
		{"silence is no change", strings.Repeat("A", 20) + strings.Repeat(".", 20) + strings.Repeat("A", 20), 0},
		{"silence before a change", strings.Repeat("A", 20) + strings.Repeat(".", 20) + strings.Repeat("B", 20), 1},
		{"silent at first", strings.Repeat(".", 20) + strings.Repeat("A", 20), 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := answers(t, tt.letters).Report().Changes; got != tt.want {
				t.Errorf("%d changes; want %d", got, tt.want)
			}
		})
	}
}

func TestRandomTurnsAreNoChange(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	changes := uint64(0)
	for range 50 {
		letters := make([]byte, 200)
		for i := range letters {
			letters[i] = "AB"[r.IntN(2)]
		}
		changes += answers(t, string(letters)).Report().Changes
	}
	if changes > 0 {
		t.Errorf("%d changes on 50 paths; want none", changes)
	}
}

func TestHopsThatChangeTogetherAreOneChange(t *testing.T) {
	p := newTestPath(PathOptions{})
	before := way{"10.0.1.1", "10.0.2.1", "10.0.3.1", pathTarget.String()}
	after := way{"10.0.1.1", "10.0.2.2", "10.0.3.2", "10.0.4.2", pathTarget.String()}
	for range 30 {
		cycle(p, before.answer)
	}
	id := p.Report().Flows[0].ID(nil)
	for range 30 {
		cycle(p, after.answer)
	}
	r := p.Report()
	if r.Changes != 1 || r.Flows[0].ID(nil) == id || len(r.Hops) != 5 || r.Hops[4].Sent == 0 || r.Hops[4].Lost != 0 {
		t.Errorf("changes %d, %d hops %+v; want one change to five hops", r.Changes, len(r.Hops), r.Hops)
	}
}

func TestPathID(t *testing.T) {
	base := answers(t, "AAAA").Report().Flows[0].ID(nil)
	tests := []struct {
		name    string
		letters string
		same    bool
	}{
		{"the same router", "AAAAAAA", true},
		{"with a lost probe", "AA..A", true},
		{"another router", "BBBB", false},
		{"a silent one", "....", false},
		{"two that take turns", "ABAB", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := answers(t, tt.letters).Report().Flows[0].ID(nil)
			if (got == base) != tt.same {
				t.Errorf("ID %s against %s; want same %v", got, base, tt.same)
			}
		})
	}
	if answers(t, "ABAB").Report().Flows[0].ID(nil) != answers(t, "BAAB").Report().Flows[0].ID(nil) {
		t.Error("the order in which routers take turns changes the ID")
	}
}
