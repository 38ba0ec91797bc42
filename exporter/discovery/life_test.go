package discovery

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// pods of the table: lower case is not ready, a trailing minus is terminating.
func pods(words ...string) []member {
	var all []member
	for _, w := range words {
		m := member{pod: &podID{uid: string(w[0] | 0x20)}, ready: w[0] < 'a' && len(w) == 1, terminating: len(w) > 1}
		m.addrs[0] = netip.AddrFrom4([4]byte{10, 0, 0, w[0] | 0x20})
		all = append(all, m)
	}
	return all
}

func TestLifeOfAPod(t *testing.T) {
	type step struct {
		after time.Duration // since the step before
		seen  []member
		want  phase
		uid   string // of the pod that counts
	}
	tests := []struct {
		name  string
		steps []step
	}{
		{"never ready is starting for ever", []step{
			{0, pods("a"), starting, "a"},
			{time.Hour, pods("a"), starting, "a"},
			{0, nil, absent, ""},
		}},
		{"ready and then unready is up", []step{
			{0, pods("a"), starting, "a"},
			{0, pods("A"), up, "a"},
			{0, pods("a"), up, "a"},
			{time.Hour, pods("a"), up, "a"},
		}},
		{"deleted with grace", []step{
			{0, pods("A"), up, "a"},
			{0, pods("a-"), ending, "a"},
			{time.Hour, pods("a-"), ending, "a"},
			{0, nil, gone, "a"},
			{forget - 1, nil, gone, "a"},
			{1, nil, absent, ""},
		}},
		{"unready and then deleted", []step{
			{0, pods("A"), up, "a"},
			{0, pods("a"), up, "a"},
			{0, pods("a-"), ending, "a"},
		}},
		{"vanished at once, and back", []step{
			{0, pods("A"), up, "a"},
			{0, nil, gone, "a"},
			{forget / 2, pods("a"), up, "a"},
			{0, nil, gone, "a"},
			{forget / 2, nil, gone, "a"},
		}},
		{"rollout: the old pod's address stays until the new pod is ready", []step{
			{0, pods("A"), up, "a"},
			{0, pods("a-", "b"), ending, "a"},
			{0, pods("b"), gone, "a"},
			{30 * time.Second, pods("b"), gone, "a"},
			{0, pods("B"), up, "b"},
		}},
		{"rollout: a new pod that is not ready in a minute is starting", []step{
			{0, pods("A"), up, "a"},
			{0, pods("b"), gone, "a"},
			{forget, pods("b"), starting, "b"},
			{time.Hour, pods("b"), starting, "b"},
			{0, pods("B"), up, "b"},
		}},
		{"rollout with surge: the new pod takes over when it is ready", []step{
			{0, pods("A"), up, "a"},
			{0, pods("A", "b"), up, "a"},
			{0, pods("A", "B"), up, "a"},
			{0, pods("a-", "B"), up, "b"},
			{0, pods("B"), up, "b"},
		}},
		{"the ready one counts of two, in any order", []step{
			{0, pods("b", "A"), up, "a"},
			{0, pods("A", "b"), up, "a"},
			{0, pods("B", "a"), up, "b"},
		}},
		{"found while it is being deleted", []step{
			{0, pods("a-"), ending, "a"},
			{0, pods("a-", "b"), ending, "a"},
			{0, nil, gone, "a"},
		}},
		{"a starting pod that is replaced", []step{
			{0, pods("b"), starting, "b"},
			{0, pods("b-", "c"), starting, "c"},
			{0, pods("c"), starting, "c"},
		}},
		{"forgotten, and there again", []step{
			{0, pods("A"), up, "a"},
			{0, nil, gone, "a"},
			{forget, nil, absent, ""},
			{0, pods("a"), starting, "a"},
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var s side
			var now time.Duration
			for i, step := range tt.steps {
				now += step.after
				s = s.next(step.seen, now)
				uid := ""
				if s.pod != nil {
					uid = s.pod.uid
				}
				if s.phase != step.want || uid != step.uid {
					t.Fatalf("step %d: phase %d of pod %q; want %d of %q", i, s.phase, uid, step.want, step.uid)
				}
				if (s.pod != nil) != (len(s.addresses) == 1) {
					t.Fatalf("step %d: addresses %v", i, s.addresses)
				}
			}
		})
	}
}

func TestStateOfANode(t *testing.T) {
	tests := []struct {
		agent, endpoint phase
		want            State
	}{
		{absent, absent, ""},
		{absent, starting, NotReady},
		{absent, up, NotReady},
		{absent, ending, Draining},
		{absent, gone, NotReady},
		{starting, absent, NotReady},
		{starting, starting, NotReady},
		{starting, up, NotReady},
		{starting, ending, Draining},
		{starting, gone, NotReady},
		{up, absent, Ready},
		{up, starting, Ready},
		{up, up, Ready},
		{up, ending, Draining},
		{up, gone, NotReady},
		{ending, absent, Draining},
		{ending, starting, Draining},
		{ending, up, Draining},
		{ending, ending, Draining},
		{ending, gone, Draining},
		{gone, absent, NotReady},
		{gone, starting, NotReady},
		{gone, up, NotReady},
		{gone, ending, Draining},
		{gone, gone, NotReady},
	}
	for _, tt := range tests {
		got, there := nodeState(side{phase: tt.agent}, side{phase: tt.endpoint})
		if diff := cmp.Diff(tt.want, got); diff != "" || there != (tt.want != "") {
			t.Errorf("agent %d, endpoint %d: %q, %v; want %q", tt.agent, tt.endpoint, got, there, tt.want)
		}
	}
}
