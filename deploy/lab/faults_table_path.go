package main

import (
	"time"

	"github.com/podnet-exporter/podnet_exporter/deploy/internal/paging"
)

// mtuFaults are those that large packets do not get past.
func mtuFaults() []Fault {
	return []Fault{
		{
			ID: "mtu-overlay", Title: "the switch port of the node carries packets up to 1400 bytes, and tells nobody",
			Symptom: "mtu", Cause: "mtu_blackhole", Severity: paging.SeverityPage, DefaultNode: "n2",
			Inject: injectRules("mtu-overlay", smallPort), Clear: clearRules("mtu-overlay", onSwitch),
		},
		{
			ID: "mtu-mismatch", Title: "the node's tunnel, or without one its pod's veth, has an MTU 100 bytes smaller than its peers'",
			Symptom: "mtu", Cause: "mtu_mismatch", Severity: paging.SeverityPage, DefaultNode: "n2",
			Inject: setMTU(-mtuDifference), Clear: setMTU(0),
		},
		{
			ID: "mtu-mismatch-pod", Title: "a pod of the node that answers no probes has an MTU 100 bytes smaller than the endpoint's",
			Symptom: "mtu", Cause: "mtu_mismatch", Severity: paging.SeverityPage, DefaultNode: "n2",
			Inject: setAppMTU(-mtuDifference), Clear: setAppMTU(0),
		},
	}
}

// slowFaults are those that delay, double or mix up packets, and lose none.
func slowFaults() []Fault {
	return []Fault{
		{
			ID: "queueing-delay", Title: "the node's uplink sends 40 Mbit/s, and a pod's transfer keeps 50 ms of packets in its queue",
			Symptom: "slow", Cause: "latency_queueing", Severity: paging.SeverityPage, DefaultNode: "n2",
			Inject: fillUplink, Clear: emptyUplink,
		},
		{
			ID: "one-way-delay", Title: "the fabric delays packets towards the node by 30 ms, and none from it",
			Symptom: "slow", Cause: "latency_one_way", Severity: paging.SeverityPage, DefaultNode: "n2",
			Inject: injectImpairment("one-way-delay", impairment{Delay: 30 * time.Millisecond}), Clear: clearImpairment("one-way-delay"),
		},
		{
			ID: "duplicates", Title: "the fabric doubles 20 % of the packets towards the node",
			Symptom: "slow", Cause: "packet_duplication", Severity: paging.SeverityPage, DefaultNode: "n2",
			Inject: injectImpairment("duplicates", impairment{Duplicate: 20}), Clear: clearImpairment("duplicates"),
		},
		{
			ID: "reordering", Title: "the fabric lets 20 % of the packets towards the node be overtaken, for 30 ms",
			Symptom: "slow", Cause: "packet_reordering", Severity: paging.SeverityPage, DefaultNode: "n2",
			Inject: injectImpairment("reordering", impairment{Reorder: 20, Hold: 30 * time.Millisecond}), Clear: clearImpairment("reordering"),
		},
	}
}

// hopsLost shows that hops on the way between nodes left probes unanswered.
const hopsLost = `sum(increase(podnet_path_hop_lost_total{vantage="node"}[LATELY])) > 0`

// quietFaults are those that must not page. A step of the wall clock is not
// among them, and cannot be: README.md says why.
func quietFaults() []Fault {
	return []Fault{
		{
			ID: "icmp-rate-limited-hop", Title: "spine2 says of at most one packet a second and family that its time is exceeded", DefaultNode: "n1",
			MustSee: hopsLost,
			Inject:  injectRules("icmp-rate-limited-hop", fewAnswers), Clear: clearRules("icmp-rate-limited-hop", onSpine2),
		},
		{
			ID: "silent-hop", Title: "the switch of the node's rack forwards, and answers nothing itself", DefaultNode: "n3",
			MustSee: hopsLost,
			Inject:  injectRules("silent-hop", noAnswers), Clear: clearRules("silent-hop", onSwitch),
		},
		{
			ID: "prober-starved", Title: "the agent is stopped for 3 s, and then has 5 % of a CPU for 10 s", DefaultNode: "n2",
			Symptom: "prober", Cause: "prober_impaired",
			MustSee: `sum(podnet_prober_skipped_total{node="NODE"}) > sum(podnet_prober_skipped_total{node="NODE"} @ BEGAN)`,
			Passes:  true, Inject: starveAgent, Clear: feedAgent,
		},
		{
			ID: "exporter-restart", Title: "the agent is restarted", DefaultNode: "n2",
			MustSee: `process_start_time_seconds{node="NODE"} > BEGAN - 1`,
			Passes:  true, Inject: restartAgent, Clear: startAgent,
		},
	}
}
