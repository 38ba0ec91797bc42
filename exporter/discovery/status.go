package discovery

import "time"

// report logs which problems began, and which are over.
func (k *Kubernetes) report() {
	var problems []problem
	for _, p := range k.facts(time.Now()).problems() {
		problems = append(problems, p)
	}
	k.health.report(problems)
}

// facts returns what is known of the source itself.
func (k *Kubernetes) facts(now time.Time) facts {
	f := facts{opts: k.opts, dial: k.health.unreachable(), last: k.health.outcomes(), synced: map[resource]bool{}, services: map[string]bool{}, seen: map[string]int{}}
	k.mu.Lock()
	defer k.mu.Unlock()
	f.client = k.client
	f.node = k.own.node != nil
	for r, at := range k.synced {
		f.synced[r] = now.Sub(at) >= k.pace.grace
	}
	for name := range k.own.services {
		f.services[name] = true
	}
	for name, n := range k.mesh.seen {
		f.seen[name] = n
	}
	return f
}

// KubernetesStatus is what the source knows of the cluster and of itself.
type KubernetesStatus struct {
	APIUp      bool
	Known      map[Part]bool     // every part; whether it is read, and nothing is wrong with it
	Failures   map[string]uint64 // lists and watches that failed, by resource
	Conditions []Condition       // of this node's Node
	Endpoint   EndpointPod       // of this node
	Sandbox    map[SandboxFailure]uint64
	Late       map[SandboxFailure]int // pods of this node without sandbox, by their latest failure; "" if none was reported
}

// Status returns the present status. It may be called at any time.
func (k *Kubernetes) Status() KubernetesStatus {
	now := time.Now()
	f := k.facts(now)
	problems := f.problems()
	s := KubernetesStatus{
		APIUp: f.apiUp(), Known: map[Part]bool{}, Failures: map[string]uint64{},
		Sandbox: k.sandboxes.failures(), Late: k.sandboxes.late(now),
	}
	for _, part := range Parts() {
		_, wrong := problems[part]
		s.Known[part] = k.health.known(part.resource()) && !wrong && f.client == nil
	}
	for _, r := range resources() {
		s.Failures[string(r)] = k.health.failed(r)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.own.node != nil {
		s.Conditions = conditions(k.own.node)
	}
	if !k.synced[resourcePods].IsZero() {
		s.Endpoint = k.own.endpointPod(k.opts, k.sandboxes)
	}
	return s
}
