package netns

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"
)

// The kubelet keeps the logs of a pod in a folder that is named after the pod:
// NAMESPACE_NAME_UID (pkg/kubelet/kuberuntime, BuildPodLogsDirectory). The
// second path is for a container that shares the node's process namespace.
const (
	podLogs        = "/var/log/pods"
	podLogsOfPID1  = procRoot + "/1/root" + podLogs
	podLogsDivider = "_" // is in no name
)

// PodPath returns the path by which the network namespace of a pod of this node
// is entered. It asks neither the API server nor the container runtime: the
// kubelet's folders of logs say which UID the pod has, and the cgroups of
// processes who is in the pod. Needs CAP_SYS_PTRACE.
func PodPath(namespace, name string) (string, error) {
	path, err := podPath(procRoot, []string{podLogs, podLogsOfPID1}, namespace, name)
	if err != nil {
		return "", fmt.Errorf("pod %s/%s: %w", namespace, name, err)
	}
	return path, nil
}

func podPath(proc string, logs []string, namespace, name string) (string, error) {
	uids, err := podUIDs(logs, namespace, name)
	if err != nil {
		return "", err
	}
	s := newScanner(proc)
	pods, err := s.scan(time.Now())
	if pods == nil {
		return "", err
	}
	// A pod of a StatefulSet is replaced by one of the same name.
	var newest podProcess
	for _, uid := range uids {
		if p, ok := pods[uid]; ok && (newest.pid == 0 || newest.before(p)) {
			newest = p
		}
	}
	switch {
	case newest.pid != 0:
		return s.path(newest.pid), nil
	case err != nil:
		return "", err
	}
	return "", fmt.Errorf("has no process: of %d processes in %s, in %d pods, none is in a cgroup of its UID %s; has it ended? (a container sees the processes of the node with hostPID only)",
		len(s.known), proc, len(pods), strings.Join(uids, " or "))
}

// podUIDs returns the UIDs of the pods that have or had that name, from the
// first folder that has any.
func podUIDs(folders []string, namespace, name string) ([]string, error) {
	var looked []string
	var errs []error
	prefix := namespace + podLogsDivider + name + podLogsDivider
	for _, folder := range folders {
		entries, err := os.ReadDir(folder)
		if err != nil {
			looked, errs = append(looked, err.Error()), append(errs, err)
			continue
		}
		var uids []string
		for _, e := range entries {
			if uid, ok := strings.CutPrefix(e.Name(), prefix); ok && isUID(uid) {
				uids = append(uids, uid)
			}
		}
		if len(uids) > 0 {
			return uids, nil
		}
		looked = append(looked, fmt.Sprintf("%d pods in %s", len(entries), folder))
	}
	where := strings.Join(looked, "; ")
	switch {
	case len(errs) < len(folders):
		return nil, fmt.Errorf("is not on this node, there is no folder %sUID (%s)", prefix, where)
	case errors.Is(errs[0], fs.ErrPermission):
		return nil, fmt.Errorf("the pods of this node are not known: %w (needs CAP_DAC_READ_SEARCH)", errs[0])
	}
	return nil, fmt.Errorf("the pods of this node are not known, is it a Kubernetes node? (%s)", where)
}
