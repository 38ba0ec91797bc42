package discovery

import (
	"cmp"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// Condition is a condition of this node's Node.
type Condition struct {
	Type, Status, Reason string // Reason is "" while the condition is as it should be
}

// trimNode keeps what matters of this node's Node.
func trimNode(object any) (any, error) {
	from, ok := object.(*corev1.Node)
	if !ok {
		return object, nil
	}
	to := &corev1.Node{ObjectMeta: key(from.ObjectMeta)}
	to.DeletionTimestamp = from.DeletionTimestamp
	to.Spec.Unschedulable, to.Spec.Taints = from.Spec.Unschedulable, from.Spec.Taints
	for _, c := range from.Status.Conditions {
		to.Status.Conditions = append(to.Status.Conditions,
			corev1.NodeCondition{Type: c.Type, Status: c.Status, Reason: reasonOfCondition(c)})
	}
	return to, nil
}

// maintenance returns whether a node is being emptied, or taken out of use, as
// far as its Node says so; Ready if not.
//
// Sources of the taints: cluster-autoscaler's utils/taints, karpenter's
// apis/v1/taints, and KEP-2268. DeletionCandidateOfClusterAutoscaler is none:
// it is soft, and most often taken back.
func maintenance(n *corev1.Node) State {
	if n.DeletionTimestamp != nil {
		return Draining
	}
	for _, t := range n.Spec.Taints {
		switch t.Key {
		case "ToBeDeletedByClusterAutoscaler", "karpenter.sh/disrupted", "karpenter.sh/disruption", corev1.TaintNodeOutOfService:
			return Draining
		}
	}
	if n.Spec.Unschedulable {
		return Cordoned
	}
	return Ready
}

// reasonOfCondition returns why a condition is not as it should be, "" if it
// is. The kubelet gives one reason for whatever keeps a node from being ready;
// what is wrong with the network stands in the message.
func reasonOfCondition(c corev1.NodeCondition) string {
	healthy := corev1.ConditionFalse
	if c.Type == corev1.NodeReady {
		healthy = corev1.ConditionTrue
	}
	if c.Status == healthy {
		return ""
	}
	if _, after, found := strings.Cut(c.Message, "reason:"); found && c.Reason == "KubeletNotReady" {
		if inner, _, _ := strings.Cut(after, " "); word(inner) != "" {
			return word(inner)
		}
	}
	return cmp.Or(word(c.Reason), "Unknown")
}

// word returns s if it is a reason as the API defines it, CamelCase and short,
// and "" if it is free text, which must not become a label.
func word(s string) string {
	if len(s) > 64 || strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") != "" {
		return ""
	}
	return s
}

// conditions returns the conditions that the kubelet and cloud providers
// maintain, and whether pods may be scheduled to the node.
func conditions(n *corev1.Node) []Condition {
	var all []Condition
	for _, c := range n.Status.Conditions {
		switch c.Type {
		case corev1.NodeReady, corev1.NodeMemoryPressure, corev1.NodeDiskPressure, corev1.NodePIDPressure, corev1.NodeNetworkUnavailable:
			all = append(all, Condition{string(c.Type), strings.ToLower(string(c.Status)), c.Reason})
		}
	}
	schedulable := Condition{Type: "Schedulable", Status: "true"}
	switch maintenance(n) {
	case Cordoned:
		schedulable.Status, schedulable.Reason = "false", "Cordoned"
	case Draining:
		schedulable.Status, schedulable.Reason = "false", "Draining"
	}
	return append(all, schedulable)
}
