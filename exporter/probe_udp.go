package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/podnet-exporter/podnet_exporter/probers"
)

// probeUDP is what only UDP probes tell, as JSON: which way something happened.
type probeUDP struct {
	Lost      probeWays    `json:"lost"`
	Doubled   probeWays    `json:"doubled"`
	Reordered probeWays    `json:"reordered"` // overtaken by a later packet
	Jitter    *probeJitter `json:"jitter_seconds,omitempty"`

	rtt, forward, reverse probers.Jitter
	answers               int
}

// probeWays counts packets: requests, replies, and those of which it is not
// known.
type probeWays struct {
	Forward int `json:"forward"`
	Reverse int `json:"reverse"`
	Unknown int `json:"unknown"`
}

// probeJitter is the mean deviation of the time that packets take, in seconds
// (RFC 3550, section 6.4.1): of the round trip, of requests and of replies.
type probeJitter struct {
	RTT     float64 `json:"rtt"`
	Forward float64 `json:"forward,omitempty"`
	Reverse float64 `json:"reverse,omitempty"`
}

// add takes a result.
func (u *probeUDP) add(r probers.Result) {
	u.Lost.Forward += r.Lost.Forward
	u.Lost.Reverse += r.Lost.Reverse
	u.Lost.Unknown += r.Lost.Unknown
	u.Doubled.add(r.Doubled)
	u.Reordered.add(r.Reordered)
	if r.Event != probers.Done || r.Reason != probers.OK {
		return
	}
	j := probeJitter{RTT: u.rtt.Add(r.RTT).Seconds()}
	if r.OneWay != (probers.OneWay{}) {
		j.Forward, j.Reverse = u.forward.Add(r.OneWay.Forward).Seconds(), u.reverse.Add(r.OneWay.Reverse).Seconds()
	}
	if u.answers++; u.answers > 1 {
		u.Jitter = &j
	}
}

func (w *probeWays) add(ways probers.Ways) {
	if ways&probers.Forward != 0 {
		w.Forward++
	}
	if ways&probers.Reverse != 0 {
		w.Reverse++
	}
}

// end takes how many probes timed out and had no late reply. Those of which no
// later packet told the way by then are lost on a way that is not known.
func (u *probeUDP) end(timeouts int) {
	u.Lost.Unknown += max(0, timeouts-u.Lost.Forward-u.Lost.Reverse-u.Lost.Unknown)
}

// lines is the summary in words.
func (u *probeUDP) lines() []string {
	var lines []string
	for _, l := range []struct {
		what string
		ways probeWays
	}{{"lost", u.Lost}, {"doubled", u.Doubled}, {"overtaken", u.Reordered}} {
		if text := l.ways.words(); text != "" {
			lines = append(lines, l.what+": "+text)
		}
	}
	if j := u.Jitter; j != nil {
		lines = append(lines, fmt.Sprintf("jitter of round trips %s, requests %s, replies %s", jitterText(j.RTT), jitterText(j.Forward), jitterText(j.Reverse)))
	}
	return lines
}

func (w probeWays) words() string {
	var words []string
	for _, x := range []struct {
		n    int
		what string
	}{{w.Forward, "requests"}, {w.Reverse, "replies"}, {w.Unknown, "one or the other"}} {
		if x.n > 0 {
			words = append(words, fmt.Sprintf("%d %s", x.n, x.what))
		}
	}
	return strings.Join(words, ", ")
}

func jitterText(seconds float64) string {
	return fmt.Sprintf("%.3f ms", milliseconds(time.Duration(seconds*1e9)))
}
