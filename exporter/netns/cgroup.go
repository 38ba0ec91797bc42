package netns

import "strings"

// container is the container that a process belongs to, as its cgroups tell.
type container struct {
	pod     string // UID of the pod, as the kubelet has it
	id      string // as the runtime has it, in hexadecimal; "" if the process is in the pod's cgroup, but in no container's
	runtime string // containerd, cri-o or docker; "" if the cgroup is not named after one
}

// parseCgroup reads /proc/PID/cgroup (cgroups(7)): a line per hierarchy,
// "ID:CONTROLLERS:PATH", of which cgroup v2 has one, "0::PATH". It is false
// for a process that is in no pod, or that the runtime has put into a pod's
// cgroup for accounting only.
//
// The kubelet names the cgroup of a pod, below that of its QoS class, after
// its UID (pkg/kubelet/cm), and the runtime that of a container, below it,
// after its ID:
//
//	/kubepods/burstable/podUID/ID                                       driver cgroupfs
//	/kubepods.slice/.../kubepods-burstable-podUID.slice/crio-ID.scope   driver systemd, with _ for - in the UID
//	/kubepods-burstable-podUID.slice:cri-containerd:ID                  containerd without, runc with the driver systemd
//
// What is above differs between distributions. In a cgroup namespace of one's
// own that part is missing, or is "..". Not every hierarchy need have a cgroup
// for the pod. A cluster inside a pod has pods in the cgroups of that one: it
// is the innermost pod that counts.
func parseCgroup(text string) (c container, ok bool) {
	for line := range strings.Lines(text) {
		fields := strings.SplitN(strings.TrimSuffix(line, "\n"), ":", 3)
		if len(fields) < 3 {
			continue
		}
		found, inPod := parseCgroupPath(fields[2])
		if inPod && found.id != "" {
			return found, true
		}
		if inPod && !ok {
			c, ok = found, true
		}
	}
	return c, ok
}

// parseCgroupPath reads the path of a cgroup.
func parseCgroupPath(path string) (container, bool) {
	parts := strings.Split(strings.TrimSuffix(path, " (deleted)"), "/")
	for i := len(parts) - 1; i >= 0; i-- {
		uid, name, ok := podCgroup(parts[i])
		if !ok {
			continue
		}
		if name == "" && i+1 < len(parts) {
			name = parts[i+1]
		}
		id, prefix := containerCgroup(name)
		if prefix == monitor {
			return container{}, false
		}
		return container{pod: uid, id: id, runtime: runtimeOf(prefix)}, true
	}
	return container{}, false
}

// podCgroup returns the UID of the pod that a part of a cgroup's path is named
// after, and the container's cgroup if it is in the same part.
func podCgroup(part string) (uid, name string, ok bool) {
	if uid, ok := strings.CutPrefix(part, "pod"); ok && isUID(uid) {
		return uid, "", true
	}
	slice, name, ok := strings.Cut(part, ".slice")
	at := strings.LastIndex(slice, "-pod")
	if !ok || at < 0 || !strings.HasSuffix(qosParent(slice[:at]), "kubepods") {
		return "", "", false
	}
	uid = strings.ReplaceAll(slice[at+len("-pod"):], "_", "-")
	return uid, strings.TrimPrefix(name, ":"), isUID(uid)
}

// qosParent returns what is above the QoS class in the name of a slice.
// Guaranteed pods have none.
func qosParent(slice string) string {
	return strings.TrimSuffix(strings.TrimSuffix(slice, "-burstable"), "-besteffort")
}

// isUID reports whether s is the UID of a pod: a UUID, or of a static pod the
// MD5 hash of its manifest.
func isUID(s string) bool {
	if len(s) == 32 {
		return isHex(s)
	}
	groups := strings.Split(s, "-")
	if len(groups) != 5 {
		return false
	}
	for i, n := range []int{8, 4, 4, 4, 12} {
		if len(groups[i]) != n || !isHex(groups[i]) {
			return false
		}
	}
	return true
}

func isHex(s string) bool {
	return strings.Trim(s, "0123456789abcdef") == ""
}

// monitor is what stands before the ID in the name of the cgroup of conmon, by
// which CRI-O looks after a container. It is no process of the pod's, and in
// the node's namespaces.
const monitor = "crio-conmon"

// containerCgroup takes the name of a container's cgroup apart. The ID is
// empty if it is not one.
func containerCgroup(name string) (id, prefix string) {
	name = strings.TrimSuffix(name, ".scope")
	id = name
	if at := strings.LastIndexAny(name, "-:"); at >= 0 {
		prefix, id = name[:at], name[at+1:]
	}
	if len(id) < 32 || !isHex(id) {
		return "", ""
	}
	return id, prefix
}

// runtimeOf returns the runtime that puts the prefix before an ID.
func runtimeOf(prefix string) string {
	switch prefix {
	case "cri-containerd":
		return "containerd"
	case "crio":
		return "cri-o"
	case "docker":
		return "docker"
	}
	return ""
}
