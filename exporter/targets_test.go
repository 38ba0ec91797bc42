package main

import (
	"testing"
	"time"

	"github.com/podnet-exporter/podnet_exporter/exporter/config"
)

func TestATurnIsNeverShorterThanItMayBe(t *testing.T) {
	for _, tt := range []struct {
		name                      string
		interval, onLoss, timeout time.Duration
		turns                     int
		turn                      time.Duration
	}{
		{"half of the interval", 2 * time.Second, time.Second, 800 * time.Millisecond, 2, time.Second},
		{"a part of the interval that is no less", 5 * time.Second, 2 * time.Second, 800 * time.Millisecond, 2, 2500 * time.Millisecond},
		{"the interval, which is shorter", 500 * time.Millisecond, time.Second, 400 * time.Millisecond, 1, 500 * time.Millisecond},
		{"the interval, which is the same", time.Second, time.Second, 800 * time.Millisecond, 1, time.Second},
		{"long enough for the probe to end", 10 * time.Second, time.Second, 2 * time.Second, 4, 2500 * time.Millisecond},
		{"the interval, which the probe nearly takes", 2 * time.Second, time.Second, 1900 * time.Millisecond, 1, 2 * time.Second},
		{"far shorter", time.Minute, 100 * time.Millisecond, 50 * time.Millisecond, 600, 100 * time.Millisecond},
	} {
		t.Run(tt.name, func(t *testing.T) {
			k := probeKind{interval: tt.interval, onLoss: tt.onLoss, timeout: tt.timeout}
			if k.turns() != tt.turns || k.turn() != tt.turn {
				t.Errorf("%d turns of %v; want %d of %v", k.turns(), k.turn(), tt.turns, tt.turn)
			}
		})
	}
	for _, k := range probeKinds(config.Default(), true) {
		if k.turns() != 3 || k.turn() != time.Second {
			t.Errorf("%v has %d turns of %v at default settings; want a probe each 3 s, and each second if need be", k.kind, k.turns(), k.turn())
		}
	}
}
