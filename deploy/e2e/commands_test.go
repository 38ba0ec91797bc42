package main

import "testing"

func TestPathIsWhole(t *testing.T) {
	const head = "Start: 2026-11-20T16:30:45+0000\nHOST: node1   Loss%   Snt   Last   Avg  Best  Wrst StDev\n"
	for _, tt := range []struct {
		name, report string
		whole        bool
	}{
		{"a router is silent, the destination answers", head + "  1.|-- ???  100.0  3  0.0\n  2.|-- 10.96.0.1  0.0%  3  0.1\n", true},
		{"a router answers in the name of the destination", head + "  1.|-- 10.96.0.1  66.7%  3  0.1\n  2.|-- 10.96.0.1  0.0%  3  0.1\nmtr: hop 1 is not the destination yet\n", true},
		{"the destination loses", head + "  1.|-- 10.96.0.1  66.7%  3  0.1\n", false},
		{"loss is said of a path that has none", head + "  1.|-- 10.96.0.1  0.0%  3  0.1\nmtr: LOSS BEGINS at hop 1\n", false},
		{"it ends elsewhere", head + "  1.|-- 10.200.0.1  0.0%  3  0.1\n", false},
		{"nobody answers", head + "  1.|-- ???  100.0  3  0.0\n", false},
		{"nothing was printed", "", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if err := pathIsWhole(tt.report, "10.96.0.1"); (err == nil) != tt.whole {
				t.Errorf("error %v", err)
			}
		})
	}
}
