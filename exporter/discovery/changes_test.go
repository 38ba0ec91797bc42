package discovery

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestChangesOfAList(t *testing.T) {
	a, b, c, d := &Node{Name: "a"}, &Node{Name: "b"}, &Node{Name: "c"}, &Node{Name: "d"}
	b2 := &Node{Name: "b", Zone: "z"}
	type pair struct{ Before, After *Node }
	for name, tc := range map[string]struct {
		before, after []*Node
		want          []pair
	}{
		"nothing":       {nil, nil, nil},
		"the same":      {[]*Node{a, b}, []*Node{a, b}, nil},
		"first list":    {nil, []*Node{a, b}, []pair{{nil, a}, {nil, b}}},
		"all gone":      {[]*Node{a, b}, nil, []pair{{a, nil}, {b, nil}}},
		"one changed":   {[]*Node{a, b, c}, []*Node{a, b2, c}, []pair{{b, b2}}},
		"one came":      {[]*Node{a, c}, []*Node{a, b, c}, []pair{{nil, b}}},
		"one went":      {[]*Node{a, b, c}, []*Node{a, c}, []pair{{b, nil}}},
		"all at once":   {[]*Node{a, b, c}, []*Node{b2, c, d}, []pair{{a, nil}, {b, b2}, {nil, d}}},
		"other at ends": {[]*Node{a}, []*Node{d}, []pair{{a, nil}, {nil, d}}},
	} {
		var got []pair
		for was, is := range Changes(tc.before, tc.after) {
			got = append(got, pair{was, is})
		}
		if diff := cmp.Diff(tc.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	for range Changes([]*Node{a, b}, nil) {
		break // must not go on after that
	}
}
