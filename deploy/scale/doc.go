// Scale measures one agent in the largest cluster that podnet_exporter is made
// for: a real etcd and API server hold the EndpointSlices of thousands of
// nodes, some of which are replaced all the time, and the real agent of one of
// them watches, probes and is scraped. It prints the agent's memory, CPU time
// and series, and the bytes of its watch.
//
// Everything happens in a network namespace that nothing leads out of, where
// the addresses of all other nodes are on the loopback device. Needs root, and
// bin/etcd and bin/kubernetes/kube-apiserver (make e2e-tools).
//
//	go run ./deploy/scale --nodes=5000 --for=5m
package main
