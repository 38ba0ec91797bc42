package discovery

import (
	"cmp"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// own is what is known of this node beside the mesh.
type own struct {
	node     *corev1.Node // the last version if it was deleted; nil: never seen
	pods     map[string]*ownPod
	services map[string]*corev1.Service
	changed  bool  // in a way that the mesh shows
	self     *Node // of the mesh, as it was listed last
}

func (o *own) nodeChanged(_, after any) {
	before := Ready
	if o.node != nil {
		before = maintenance(o.node)
	}
	if n, ok := after.(*corev1.Node); ok {
		o.node = n
	} else if o.node != nil {
		gone := *o.node
		gone.DeletionTimestamp = &metav1.Time{Time: time.Now()}
		o.node = &gone
	}
	o.changed = o.changed || maintenance(o.node) != before
}

func (o *own) serviceChanged(before, after any) {
	if s, ok := after.(*corev1.Service); ok {
		o.services[s.Name] = s
	} else if s, ok := before.(*corev1.Service); ok {
		delete(o.services, s.Name)
	}
	o.changed = true
}

func (o *own) podChanged(before, after any) {
	old, _ := before.(*ownPod)
	now, _ := after.(*ownPod)
	switch {
	case now != nil:
		o.pods[now.key()] = now
	case old != nil:
		delete(o.pods, old.key())
	}
	o.changed = o.changed || old == nil || now == nil || !old.pod.same(now.pod)
}

func (p *ownPod) key() string { return p.Namespace + "/" + p.Name }

// list returns the pods of the node, sorted by name.
func (o *own) list() []OwnPod {
	all := make([]OwnPod, 0, len(o.pods))
	for _, p := range o.pods {
		all = append(all, p.pod)
	}
	slices.SortFunc(all, func(a, b OwnPod) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
	return all
}

// in returns the nodes with what is known of this one: its state, and its pods.
// It changes the list, which has this node in any case then.
func (o *own) in(nodes []*Node, opts KubernetesOptions) []*Node {
	i, there := slices.BinarySearchFunc(nodes, opts.Node, compareName)
	if !there {
		nodes = slices.Insert(nodes, i, &Node{Name: opts.Node, State: NotReady})
	}
	self := *nodes[i]
	if o.node != nil {
		if state := maintenance(o.node); state != Ready {
			self.State = state
		}
	}
	pods := o.list()
	if best, found := bestEndpoint(pods, opts.Namespace, o.selector(opts)); found && !hasUID(pods, self.Endpoint.UID) {
		self.Endpoint.Pod = Pod{Namespace: best.Namespace, Name: best.Name, UID: best.UID}
	}
	self.Pods = nil
	for _, p := range pods {
		if !p.HostNetwork && !p.ended() && p.UID != self.Endpoint.UID {
			self.Pods = append(self.Pods, Pod{Namespace: p.Namespace, Name: p.Name, UID: p.UID})
		}
	}
	if o.self == nil || !o.self.SameAs(&self) {
		o.self = &self
	}
	nodes[i] = o.self
	return nodes
}

func hasUID(pods []OwnPod, uid string) bool {
	return slices.ContainsFunc(pods, func(p OwnPod) bool { return p.UID == uid })
}

// selector returns what selects endpoints; nil if it is not known.
func (o *own) selector(opts KubernetesOptions) map[string]string {
	if s := o.services[opts.EndpointsService]; s != nil {
		return s.Spec.Selector
	}
	return nil
}

// EndpointPod is the state of the pod on this node that the endpoints' Service
// selects.
type EndpointPod struct {
	State  string // running, not_ready, starting, failed, terminating or missing; "" if unknown
	Reason string // as OwnPod.Waiting, or the class of the last failure of its sandbox
}

// endpointPod returns the state of this node's endpoint.
func (o *own) endpointPod(opts KubernetesOptions, s *sandboxes) EndpointPod {
	selector := o.selector(opts)
	if len(selector) == 0 {
		return EndpointPod{}
	}
	best, found := bestEndpoint(o.list(), opts.Namespace, selector)
	if !found {
		return EndpointPod{State: "missing"}
	}
	return EndpointPod{podState(best), cmp.Or(string(s.lastFailure(best.object)), best.Waiting)}
}

// bestEndpoint returns the pod that the selector selects. Of several, as in a
// rollout, the best counts.
func bestEndpoint(pods []OwnPod, namespace string, selector map[string]string) (best OwnPod, found bool) {
	rank := -1
	for _, p := range pods {
		if p.Namespace != namespace || !selects(selector, p.Labels) {
			continue
		}
		if r := slices.Index([]string{"failed", "terminating", "starting", "not_ready", "running"}, podState(p)); r > rank {
			best, rank = p, r
		}
	}
	return best, rank >= 0
}
