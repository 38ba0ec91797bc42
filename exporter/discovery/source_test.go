package discovery

import (
	"fmt"
	"hash/maphash"
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// TestVersionsAreTakenAsIfAllTheirEndpointsWereRead puts version after version
// into an index that skips what it knows, and into one that cannot. Both have to
// make the same nodes at the same moments, and to hold what the API's own types
// read.
func TestVersionsAreTakenAsIfAllTheirEndpointsWereRead(t *testing.T) {
	for seed := range uint64(20) {
		rng := rand.New(rand.NewPCG(seed, 1))
		x, plain := newIndex("podnet-agent"), newIndex("podnet-agent")
		present := map[string]*version{}
		now := now2027
		for step := range 200 {
			name := fmt.Sprintf("s%d", rng.IntN(5))
			v := present[name]
			plain.seed = maphash.MakeSeed() // no hash is what it was
			switch {
			case v == nil:
				v = randomVersion(rng)
				present[name] = v
				putBoth(x, plain, name, *v)
			case rng.IntN(12) == 0:
				delete(present, name)
				x.drop(name)
				plain.drop(name)
			default:
				v.next(rng)
				putBoth(x, plain, name, *v)
			}
			for service, n := range plain.seen {
				if x.seen[service] != n {
					t.Fatalf("seed %d, step %d: %d endpoints of %s; want %d", seed, step, x.seen[service], service, n)
				}
			}
			checkRecords(t, x, present)
			if t.Failed() {
				t.Fatalf("seed %d, step %d", seed, step)
			}
			if rng.IntN(3) == 0 {
				continue // several versions come before a snapshot
			}
			now = now.Add(time.Duration(rng.IntN(int(forget))))
			if got, want := x.judge(now), plain.judge(now); got != want {
				t.Fatalf("seed %d, step %d: judge() = %t; want %t", seed, step, got, want)
			}
			if got, want := x.list(), plain.list(); !slices.EqualFunc(got, want, (*Node).SameAs) {
				t.Fatalf("seed %d, step %d: list() (-want +got):\n%s", seed, step, cmp.Diff(want, got, cmpopts.EquateComparable(netip.Addr{})))
			}
		}
	}
}

// putBoth puts a version into both indexes, and destroys it.
func putBoth(x, y *index, name string, v version) {
	for _, to := range []*index{x, y} {
		s, data := v.slice(name)
		to.put(s)
		for i := range data {
			data[i] = 0xff
		}
	}
}

// checkRecords compares what the index has of every endpoint, in their order,
// with what the API's own types read. It is an error if a node has records
// besides.
func checkRecords(t *testing.T, x *index, present map[string]*version) {
	t.Helper()
	if len(x.sources) != len(present) {
		t.Errorf("%d slices; want %d", len(x.sources), len(present))
	}
	held, seen := map[*record]bool{}, map[string]int{}
	for name, v := range present {
		in := x.sources[name]
		var got, want []string
		for _, e := range in.endpoints {
			if held[e.record] {
				t.Errorf("a record is two endpoints of %s", name)
			}
			text := ""
			if r := e.record; r != nil {
				held[r] = true
				text = fmt.Sprint(r.node.name, *r.pod, r.addr(), r.family, r.agent, r.ready, r.terminating, r.stale)
			}
			got = append(got, text)
		}
		for _, message := range v.endpoints {
			text := v.text(message)
			if text != "" {
				seen[v.service]++
			}
			want = append(want, text)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("endpoints of %s (-want +got):\n%s", name, diff)
		}
	}
	for name, e := range x.nodes {
		for r := e.records; r != nil; r = r.next {
			if !held[r] || r.node != e {
				t.Errorf("node %s holds a record of no slice", name)
			}
			delete(held, r)
		}
		if e.records == nil && !e.there && !e.dirty {
			t.Errorf("node %s is kept without a reason", name)
		}
	}
	if len(held) > 0 {
		t.Errorf("%d endpoints are of no node", len(held))
	}
	maps.DeleteFunc(seen, func(_ string, n int) bool { return n == 0 })
	some := maps.Clone(x.seen)
	maps.DeleteFunc(some, func(_ string, n int) bool { return n == 0 })
	if diff := cmp.Diff(seen, some); diff != "" {
		t.Errorf("endpoints by Service (-want +got):\n%s", diff)
	}
}

func TestWhatTwoVersionsHaveInCommon(t *testing.T) {
	tests := []struct {
		name, before, now string // a letter for an endpoint
		head, tail        int
	}{
		{"nothing before", "", "abc", 0, 0},
		{"nothing now", "abc", "", 0, 0},
		{"the same", "abc", "abc", 3, 0},
		{"one in the middle is another", "abc", "axc", 1, 1},
		{"the first was removed", "abc", "bc", 0, 2},
		{"one was appended", "abc", "abcd", 3, 0},
		{"one was removed and one appended", "abc", "bcd", 0, 0},
		{"two changed places", "abcd", "acbd", 1, 1},
		{"one of equal ones was removed", "aaa", "aa", 2, 0},
		{"one more of equal ones", "xaay", "xaaay", 3, 1},
		{"all others", "abc", "xyz", 0, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var before []endpoint
			for _, c := range tt.before {
				before = append(before, endpoint{hash: uint64(c)})
			}
			var now []arrival
			for _, c := range tt.now {
				now = append(now, arrival{hash: uint64(c)})
			}
			if head, tail := common(before, now); head != tt.head || tail != tt.tail {
				t.Errorf("common() = %d, %d; want %d, %d", head, tail, tt.head, tt.tail)
			}
		})
	}
}
