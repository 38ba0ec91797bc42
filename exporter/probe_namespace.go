package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/podnet-exporter/podnet_exporter/exporter/netns"
)

// checkNamespace says what is wrong with the options --netns and --pod, of
// which an interactive command takes one.
func checkNamespace(path, pod string) error {
	if path != "" && pod != "" {
		return errors.New("--netns and --pod: give one of them")
	}
	namespace, name, _ := strings.Cut(pod, "/")
	if pod != "" && (namespace == "" || name == "" || strings.Contains(name, "/")) {
		return fmt.Errorf("--pod %q is not NAMESPACE/NAME", pod)
	}
	return nil
}

// inNamespace runs f on a thread inside the network namespace of a path, or of
// a pod of this node, or where it is called if both are empty.
func inNamespace(path, pod string, f func() error) error {
	if pod != "" {
		namespace, name, _ := strings.Cut(pod, "/")
		var err error
		if path, err = netns.PodPath(namespace, name); err != nil {
			return err
		}
	}
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
