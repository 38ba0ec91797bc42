package drops

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestTableIsBoundedAndSeriesNeverShrink(t *testing.T) {
	table := newTable[int](20, 1)
	labels := func(key int) []string { return []string{fmt.Sprintf("reason%d", key%5), fmt.Sprintf("dev%d", key)} }
	last := make(map[string]uint64)
	for round := range uint64(10) {
		var counts []entry[int]
		for key := range 10 * (int(round) + 1) {
			counts = append(counts, entry[int]{key, round*100 + uint64(key)})
		}
		table.update(counts, time.Time{}, labels)

		if len(table.named) > 20 {
			t.Fatalf("round %d: %d series; want at most 20", round, len(table.named))
		}
		var total, want uint64
		for name, n := range values(table) {
			if n < last[name] {
				t.Errorf("round %d: series %s went from %d to %d", round, name, last[name], n)
			}
			last[name] = n
			total += n
		}
		for _, c := range counts {
			want += c.packets
		}
		if total != want {
			t.Errorf("round %d: series sum up to %d packets; want %d", round, total, want)
		}
	}
}

func TestTableShares(t *testing.T) {
	table := newTable[string](10, 1)
	add := func(key string, packets uint64) {
		table.update([]entry[string]{{key, packets}}, time.Time{}, func(string) []string {
			return []string{key[:1], key}
		})
	}
	for i := range 9 {
		add(fmt.Sprintf("a%d", i), 1)
	}
	add("a0", 5)  // has its own series and keeps it
	add("b0", 7)  // the tenth place is for what has no place
	add("b1", 70) // shares it
	got := values(table)
	want := map[string]uint64{
		"a a0": 5, "a a1": 1, "a a2": 1, "a a3": 1, "a a4": 1, "a a5": 1, "a a6": 1, "a a7": 1, "a a8": 1,
		"- -": 77,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("series (-want +got):\n%s", diff)
	}

	table.forget([]string{"a1", "b1"})
	delete(want, "a a1")
	if diff := cmp.Diff(want, values(table)); diff != "" {
		t.Errorf("after two keys ended (-want +got):\n%s", diff)
	}
}

func TestLargestCountsGetTheirOwnSeries(t *testing.T) {
	table := newTable[int](20, 1)
	var counts []entry[int]
	for key := range 100 {
		counts = append(counts, entry[int]{key, uint64(key)})
	}
	table.update(counts, time.Time{}, func(key int) []string { return []string{"r", fmt.Sprint(key)} })
	got := values(table)
	for key := 82; key < 100; key++ {
		if got[fmt.Sprintf("r %d", key)] != uint64(key) {
			t.Errorf("count %d has no series of its own: %v", key, got)
		}
	}
	if want := uint64(81 * 82 / 2); got["r -"] != want {
		t.Errorf("shared series = %d; want %d", got["r -"], want)
	}
}

func TestCountThatBeganAnewGoesOn(t *testing.T) {
	table := newTable[int](20, 0)
	for _, packets := range []uint64{5, 8, 2, 3} {
		table.update([]entry[int]{{1, packets}}, time.Time{}, func(int) []string { return []string{"r"} })
	}
	if got := values(table)["r"]; got != 11 {
		t.Errorf("series = %d; want 8 before and 3 after the count began anew", got)
	}
}
