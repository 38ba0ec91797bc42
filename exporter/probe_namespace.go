package main

import "github.com/podnet-exporter/podnet_exporter/exporter/netns"

// inNamespace runs f on a thread inside the network namespace of a path, or
// where it is called if the path is empty.
func inNamespace(path string, f func() error) error {
	if path == "" {
		return f()
	}
	ns, err := netns.Open(path)
	if err != nil {
		return err
	}
	defer ns.Close()
	return ns.Do(f)
}
