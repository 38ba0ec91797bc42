// Package verdict says in one word what all probes to one peer say together.
//
// One failing probe never tells what is broken. The differences do: between
// the node's address and its pod's, between probes sent from this node and
// from this node's pod, between ICMP and TCP. [Of] is the table of these
// differences, a pure function.
package verdict

import (
	"slices"

	"github.com/podnet-exporter/podnet_exporter/probers"
)

// Verdict is what one cycle's probes to one peer mean together.
type Verdict string

// The verdicts.
const (
	OK              Verdict = "ok"               // everything that was measured answered
	Lossy           Verdict = "lossy"            // everything answers, but single packets were lost
	Impaired        Verdict = "impaired"         // the prober was late or starved, or measured nothing: says nothing about the network
	ExpectedDown    Verdict = "expected_down"    // fails, and is known to be going away, not yet up, or cordoned
	NodeUnreachable Verdict = "node_unreachable" // neither the host nor its pod answers
	PodNetwork      Verdict = "pod_network"      // the host answers, its pod does not
	HostNetwork     Verdict = "host_network"     // the pod answers, its host does not
	PortRefused     Verdict = "port_refused"     // the address answers and refuses the port: nobody listens
	PortFiltered    Verdict = "port_filtered"    // ICMP passes, TCP or UDP to the port gets no answer
	ICMPLost        Verdict = "icmp_lost"        // TCP passes, ICMP gets no answer
	LargeLost       Verdict = "large_lost"       // small packets pass, large ones vanish without a word
	Slow            Verdict = "slow"             // everything answers, far later than it used to
	LocalPod        Verdict = "local_pod"        // this node and its own pod cannot reach each other
)

// All returns every verdict, OK first.
func All() []Verdict {
	return []Verdict{
		OK, Lossy, Impaired, ExpectedDown, NodeUnreachable, PodNetwork, HostNetwork,
		PortRefused, PortFiltered, ICMPLost, LargeLost, Slow, LocalPod,
	}
}

// Possible returns the verdicts that cycles can have: those of this node itself
// as its own peer, or those of another node.
func Possible(self bool) []Verdict {
	return slices.DeleteFunc(All(), func(v Verdict) bool {
		switch v {
		case LocalPod:
			return !self
		case NodeUnreachable, PodNetwork, HostNetwork, LargeLost:
			return self
		}
		return false
	})
}

// Outcome is what one probe says about the way to its target. The zero value
// is no outcome: not probed, or too long ago.
type Outcome uint8

// The outcomes.
const (
	None    Outcome = iota
	Answer          // the probe succeeded
	Refusal         // the target itself answered that the port is closed: the way to it works
	Lapse           // lost, but the probe before it was answered: a lost packet, not yet a broken way
	Loss            // lost, and the one before it too
	Unknown         // the prober cannot tell: it was impaired, or could not send for reasons of its own
)

// Failed reports whether the way, or the port at its end, did not do what it
// should.
func (o Outcome) Failed() bool { return o == Lapse || o == Loss || o == Refusal }

// OutcomeOf returns what a probe's failure reason, or success, says about the
// way to the target, given the outcome of the probe before it.
//
// A closed UDP port answers with an ICMP error, and to TCP that is a firewall's
// word. A first loss is a Lapse: with 10 % of packets lost, one of the eight probes
// of a cycle fails in every second cycle, and two in a row in one of thirteen.
func OutcomeOf(kind probers.Kind, r probers.Reason, before Outcome) Outcome {
	if kind == probers.UDP && r == probers.PortUnreachable {
		return Refusal
	}
	switch r {
	case probers.OK:
		return Answer
	case probers.Refused, probers.Reset:
		return Refusal
	case probers.Impaired, probers.LocalBuffer, probers.LocalPortsExhausted:
		return Unknown
	}
	if before == Lapse || before == Loss {
		return Loss
	}
	return Lapse
}

// Way is what the probes of one vantage say about one address.
type Way struct {
	ICMP, TCP, UDP Outcome
	Slow           bool // one of the answers came far later than the answers used to, see Pace
}

// all returns the outcomes.
func (w Way) all() [3]Outcome { return [3]Outcome{w.ICMP, w.TCP, w.UDP} }

// Cycle is what one cycle measured of one peer in one address family. Names
// say from where to where: PodToNode is from this node's pod to the peer's
// host address.
type Cycle struct {
	NodeToNode, NodeToPod, PodToNode, PodToPod Way

	// Self: the peer is this node. Its cycle is the control that tells a
	// broken pod of ours from a broken peer.
	Self bool

	// PodIsolated: this node's pod and this node do not reach each other, so
	// that what is sent from the pod says nothing about a peer.
	PodIsolated bool

	// LargeLost: the last search found that larger packets than some size
	// vanish, and that nobody says so; or TCP transfers of several segments
	// stall after they were connected.
	LargeLost bool

	// Expected: discovery knows that the peer is not serving.
	Expected bool
}

// Of returns the verdict of a cycle.
func Of(c Cycle) Verdict {
	v := judge(c)
	if c.LargeLost && (v == OK || v == Lossy || v == Slow) {
		v = LargeLost
	}
	if c.Expected && v != OK && v != Lossy && v != Impaired {
		return ExpectedDown
	}
	return v
}

func judge(c Cycle) Verdict {
	if c.PodIsolated && !c.Self {
		c.PodToNode, c.PodToPod = Way{}, Way{}
	}
	all := []Way{c.NodeToNode, c.NodeToPod, c.PodToNode, c.PodToPod}
	switch {
	case uncertain(all):
		return Impaired
	case c.Self:
		return judgeSelf(c)
	case !some(all, Way.answers):
		return NodeUnreachable
	case c.NodeToNode.silent() || (c.PodToNode.silent() && !c.PodToPod.silent()):
		if !some([]Way{c.NodeToPod, c.PodToPod}, Way.answers) {
			return PodNetwork
		}
		return HostNetwork
	case c.NodeToPod.silent() || c.PodToPod.silent():
		return PodNetwork
	}
	return judgePorts(all)
}

// judgeSelf judges the control. The way from the node to itself and from the
// pod to itself is the loopback device of each, and only shows that the prober
// works.
func judgeSelf(c Cycle) Verdict {
	if c.NodeToPod.silent() || c.PodToNode.silent() {
		return LocalPod
	}
	return judgePorts([]Way{c.NodeToPod, c.PodToPod, c.PodToNode, c.NodeToNode})
}

// judgePorts judges a peer whose addresses all answer.
func judgePorts(all []Way) Verdict {
	switch {
	case some(all, func(w Way) bool { return w.has(Refusal) }):
		return PortRefused
	case some(all, func(w Way) bool { return w.TCP == Loss || w.UDP == Loss }):
		return PortFiltered
	case some(all, func(w Way) bool { return w.ICMP == Loss }):
		return ICMPLost
	case slow(all):
		return Slow
	case some(all, func(w Way) bool { return w.has(Lapse) }):
		return Lossy
	}
	return OK
}

// slow reports whether every way that answers does so slowly: what delays the
// packets is common to all, and so is not one vantage or one pod.
func slow(all []Way) bool {
	var is bool
	for _, w := range all {
		if w.answers() && !w.Slow {
			return false
		}
		is = is || w.Slow
	}
	return is
}

// uncertain reports whether the cycle must not be judged: nothing was
// measured, or something failed while the prober was impaired.
func uncertain(all []Way) bool {
	var answered, failed, unknown bool
	for _, w := range all {
		for _, o := range w.all() {
			answered = answered || o == Answer
			failed = failed || o.Failed()
			unknown = unknown || o == Unknown
		}
	}
	if failed {
		return unknown
	}
	return !answered
}

// has reports whether one of the probes had the outcome.
func (w Way) has(o Outcome) bool { return w.ICMP == o || w.TCP == o || w.UDP == o }

// answers reports whether the address gave a sign of life, now or just before.
func (w Way) answers() bool { return w.has(Answer) || w.has(Refusal) || w.has(Lapse) }

// silent reports whether the address was probed and gave no sign of life,
// beyond doubt.
func (w Way) silent() bool { return !w.answers() && !w.has(Unknown) && w.has(Loss) }

// some reports whether is holds for one of the ways.
func some(ways []Way, is func(Way) bool) bool {
	for _, w := range ways {
		if is(w) {
			return true
		}
	}
	return false
}

// PodIsolated reports whether the control says that this node and its pod do
// not reach each other. What was not measured isolates nobody.
func PodIsolated(self Cycle) bool {
	return self.NodeToPod.silent() || self.PodToNode.silent()
}
