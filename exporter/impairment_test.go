package main

import (
	"testing"
	"time"
)

func TestImpairmentIsAShareOfTheLastSeconds(t *testing.T) {
	start := time.Unix(1_800_000_000, 0)
	tests := []struct {
		name         string
		probes, ours uint64        // each second for 8 s
		after        time.Duration // until it is asked
		want         bool
	}{
		{"a prober that keeps up", 200, 0, 0, false},
		{"a few probes delayed by a busy machine", 200, 1, 0, false},
		{"exactly the share", 200, 2, 0, false},
		{"starved", 200, 3, 0, true},
		{"nothing was sent at all", 0, 0, 0, false},
		{"all of few are late", 1, 1, 0, true},
		{"starved in the oldest second only", 200, 150, 7 * time.Second, true},
		{"starved, but that is over", 200, 150, 8 * time.Second, false},
		{"the clock was set back", 200, 150, -time.Hour, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var i impairment
			for s := range 8 {
				i.add(start.Add(time.Duration(s-7)*time.Second), tt.probes, tt.ours)
			}
			if got := i.lately(start.Add(tt.after)); got != tt.want {
				t.Errorf("lately = %v; want %v", got, tt.want)
			}
		})
	}
}

func TestImpairmentForgetsARoundAgo(t *testing.T) {
	var i impairment
	start := time.Unix(1_800_000_000, 0)
	i.add(start, 10, 10)
	i.add(start.Add(impairedFor), 200, 0) // takes the place of the first second
	if i.lately(start.Add(impairedFor)) {
		t.Error("a second of the round before still counts")
	}
}

func TestOnePauseImpairsTheProber(t *testing.T) {
	var i impairment
	start := time.Unix(1_800_000_000, 0)
	for s := range 8 {
		i.add(start.Add(time.Duration(s)*time.Second), 200, 0)
	}
	i.add(start.Add(7*time.Second), 20, 20) // late after a pause
	if !i.lately(start.Add(7 * time.Second)) {
		t.Error("a pause after which 20 of 1620 probes are late does not count")
	}
}
