// Scale measures one agent in the largest cluster that podnet_exporter is made
// for: a real etcd and API server hold the EndpointSlices of thousands of
// nodes, some of which are replaced all the time, and the real agent of one of
// them watches, probes, is probed by as many others, and is scraped. It prints
// the agent's memory, CPU time and series, and the bytes of its watch.
//
// Everything happens in three network namespaces that nothing leads out of: the
// node with its agent, the node's endpoint, and the rest of the cluster, which
// has the addresses of all other nodes. The CPU time is that of the agent's
// process, with what the kernel does in its name: its sends as far as the
// uplink, and its reads.
//
// Needs root, and bin/etcd and bin/kubernetes/kube-apiserver (make e2e-tools).
//
//	go run ./deploy/scale --nodes=5000 --for=5m
package main
