package probers

import (
	"testing"
	"time"
)

func TestRoundTrip(t *testing.T) {
	const (
		ms   = int64(time.Millisecond)
		wall = int64(1_800_000_000_000_000_000)
		hour = int64(time.Hour)
	)
	sent := moment{mono: 5000 * ms, wall: wall}
	at := func(mono, step int64) moment { return moment{sent.mono + mono, wall + mono + step} }
	tests := []struct {
		name   string
		tx, rx int64
		read   moment
		want   time.Duration
		exact  bool
	}{
		{"the kernel's stamps are used, however late they are read", wall + 1, wall + 2*ms + 1, at(900*ms, 0), 2 * time.Millisecond, true},
		{"without a TX stamp the time before the send is used", 0, wall + 2*ms, at(900*ms, 0), 2 * time.Millisecond, true},
		{"without an RX stamp the time that passed is the bound", wall, 0, at(9*ms, 0), 9 * time.Millisecond, false},
		{"an hour forward between TX and RX", wall, wall + 2*ms + hour, at(9*ms, hour), 2 * time.Millisecond, true},
		{"an hour back between TX and RX", wall, wall + 2*ms - hour, at(9*ms, -hour), 2 * time.Millisecond, true},
		{"an hour forward after RX", wall, wall + 2*ms, at(9*ms, hour), 2 * time.Millisecond, true},
		{"an hour back after RX", wall, wall + 2*ms, at(9*ms, -hour), 2 * time.Millisecond, true},
		{"a step so small that both orders are possible", wall, wall + 20*ms, at(90*ms, 15*ms), 90 * time.Millisecond, false},
		{"a clock that is slewed is not stepped", wall, wall + 500*ms, at(1000*ms, ms/2), 500 * time.Millisecond, true},
		{"RX before TX", wall + 2*ms, wall, at(9*ms, 0), 9 * time.Millisecond, false},
		{"more time between the stamps than has passed", wall, wall + 50*ms, at(9*ms, 0), 9 * time.Millisecond, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, exact := roundTrip(tt.tx, tt.rx, sent, tt.read)
			if got != tt.want || exact != tt.exact {
				t.Errorf("roundTrip() = %v, %t; want %v, %t", got, exact, tt.want, tt.exact)
			}
		})
	}
}

func TestWindowsSpoilOnlyTheProbesInThem(t *testing.T) {
	var w windows
	w.add(window{from: 100, to: 200, least: 50})
	tests := []struct {
		name     string
		from, to int64
		want     bool
	}{
		{"before", 0, 100, false},
		{"after", 200, 300, false},
		{"around", 50, 300, true},
		{"less of it than matters", 140, 190, false},
		{"more of it than matters", 0, 151, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := w.spoil(tt.from, tt.to); got != tt.want {
				t.Errorf("spoil(%d, %d) = %t; want %t", tt.from, tt.to, got, tt.want)
			}
		})
	}
}
