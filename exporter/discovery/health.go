package discovery

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// Part is something that discovery learns from Kubernetes. Each can be missing
// without the others.
type Part string

// The parts.
const (
	PartAgents    Part = "agents"    // EndpointSlices of the agents' Service
	PartEndpoints Part = "endpoints" // EndpointSlices of the endpoints' Service
	PartServices  Part = "services"  // the two Services themselves
	PartNode      Part = "node"      // this node's Node
	PartPods      Part = "pods"      // this node's Pods
	PartEvents    Part = "events"    // Events about Pods of this node that do not start
)

// Parts returns every part.
func Parts() []Part {
	return []Part{PartAgents, PartEndpoints, PartServices, PartNode, PartPods, PartEvents}
}

// resource returns what a part is read from.
func (p Part) resource() resource {
	switch p {
	case PartServices:
		return resourceServices
	case PartNode:
		return resourceNodes
	case PartPods:
		return resourcePods
	case PartEvents:
		return resourceEvents
	}
	return resourceSlices
}

// problem is why a part is not known, or not current. The zero value is none.
// Its text is the same as long as the problem is: it is logged once.
type problem struct {
	text, hint string
	err        error
}

// health is how the requests to the API server go. It may be used by several
// goroutines.
type health struct {
	log     *slog.Logger
	changed func() // called after every change, without a lock

	mu       sync.Mutex
	dial     error              // outcome of the last connection that was tried
	last     map[resource]error // outcome of the last request of each; no entry before the first
	granted  map[resource]bool  // a request of these was
	failures map[resource]uint64
	logged   map[string]bool // texts of the problems that were logged and last
}

func newHealth(log *slog.Logger, changed func()) *health {
	return &health{
		log: log, changed: changed,
		last: map[resource]error{}, granted: map[resource]bool{}, failures: map[resource]uint64{}, logged: map[string]bool{},
	}
}

// asked notes the outcome of a list or watch. What ended because the asker did
// not want it any more says nothing.
func (h *health) asked(ctx context.Context, r resource, err error) {
	if ctx.Err() != nil {
		return
	}
	h.mu.Lock()
	before, known := h.last[r]
	h.last[r] = err
	if err == nil {
		h.granted[r] = true
	} else {
		h.failures[r]++
	}
	h.mu.Unlock()
	if !known || before != nil || err != nil {
		h.changed()
	}
}

// dialled notes the outcome of a connection. client-go tries ten times before a
// watch fails, which takes a minute where nothing answers.
func (h *health) dialled(ctx context.Context, err error) {
	if ctx.Err() != nil {
		return
	}
	h.mu.Lock()
	was := h.dial
	h.dial = err
	h.mu.Unlock()
	if was != nil || err != nil {
		h.changed()
	}
}

// unreachable returns why the API server could not be connected to; nil if it
// could, or was not tried.
func (h *health) unreachable() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.dial
}

// outcomes returns the outcome of the last request of each resource that was
// asked for.
func (h *health) outcomes() map[resource]error {
	h.mu.Lock()
	defer h.mu.Unlock()
	last := make(map[resource]error, len(h.last))
	for r, err := range h.last {
		last[r] = err
	}
	return last
}

// known reports whether a resource was ever read.
func (h *health) known(r resource) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.granted[r]
}

// failed returns how many requests for a resource failed.
func (h *health) failed(r resource) uint64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.failures[r]
}

// report logs what began or ended since the last call.
func (h *health) report(problems []problem) {
	h.mu.Lock()
	defer h.mu.Unlock()
	last := make(map[string]bool, len(problems))
	for _, p := range problems {
		if !last[p.text] && !h.logged[p.text] {
			h.log.Warn("discovery: "+p.text, "hint", p.hint, "err", p.err)
		}
		last[p.text] = true
	}
	for text := range h.logged {
		if !last[text] {
			h.log.Info("discovery: this is over: " + text)
		}
	}
	h.logged = last
}

// away reports whether err means that no API server could work on the request.
func away(err error) bool {
	var status apierrors.APIStatus
	if err == nil || !errors.As(err, &status) {
		return err != nil
	}
	code := status.Status().Code
	return code >= http.StatusInternalServerError || code == http.StatusTooManyRequests || code == http.StatusRequestTimeout
}

// facts is what the problems follow from.
type facts struct {
	opts     KubernetesOptions
	client   error              // why there is no client of the API server
	dial     error              // why there is no connection to it
	last     map[resource]error // see health.outcomes
	synced   map[resource]bool  // read completely, and then for so long that what is missing is not just late
	services map[string]bool    // names of those that there are
	seen     map[string]int     // endpoints by Service
	node     bool               // this node's Node was found
}

// apiUp reports whether every watch is live, or its last request was at least
// answered.
func (f facts) apiUp() bool {
	if f.client != nil || f.dial != nil {
		return false
	}
	up := false
	for r, err := range f.last {
		if r == resourceEvents {
			continue // they are not watched
		}
		if away(err) {
			return false
		}
		up = true
	}
	return up
}

// problems returns what is wrong with each part; parts without a problem are
// not in it. "" is the part of what concerns them all.
func (f facts) problems() map[Part]problem {
	problems := map[Part]problem{}
	if f.client != nil {
		problems[""] = problem{"the API server of Kubernetes cannot be asked", "run in a pod with a service account, or set discovery.kubernetes.kubeconfig", f.client}
		return problems
	}
	noAnswer := f.dial
	for r, err := range f.last {
		if r != resourceEvents && away(err) {
			noAnswer = err
		}
	}
	if noAnswer != nil {
		problems[""] = problem{"the API server of Kubernetes does not answer; the last mesh stays, and probing goes on",
			"reconnecting by itself; look at the API server and the way to it", noAnswer}
	}
	for _, part := range Parts() {
		if p, ok := f.problem(part); ok {
			problems[part] = p
		}
	}
	return problems
}

// problem returns what is wrong with one part.
func (f facts) problem(part Part) (problem, bool) {
	r := part.resource()
	if err := f.last[r]; err != nil && !away(err) && !apierrors.IsResourceExpired(err) && !apierrors.IsGone(err) {
		return f.refused(r, err), true
	}
	switch part {
	case PartAgents:
		return f.noEndpoints(f.opts.AgentsService, "agents")
	case PartEndpoints:
		return f.noEndpoints(f.opts.EndpointsService, "endpoints")
	case PartNode:
		if f.synced[resourceNodes] && !f.node {
			return problem{text: fmt.Sprintf("there is no Node %q", f.opts.Node),
				hint: "set node in the configuration, or NODE_NAME, to the node's name in Kubernetes"}, true
		}
	}
	return problem{}, false
}

// noEndpoints returns why a Service has nobody behind it.
func (f facts) noEndpoints(service, what string) (problem, bool) {
	name := f.opts.Namespace + "/" + service
	switch {
	case f.seen[service] > 0 || !f.synced[resourceSlices] || !f.synced[resourceServices] && !apierrors.IsForbidden(f.last[resourceServices]):
		return problem{}, false
	case f.last[resourceServices] == nil && !f.services[service]:
		return problem{text: "there is no Service " + name + ", so no " + what + " are found",
			hint: "create the headless Service that selects the " + what + ", or name the right one in discovery.kubernetes"}, true
	}
	return problem{text: "Service " + name + " has no pod behind it, so no " + what + " are found",
		hint: "compare the Service's selector with the labels of the pods, and see whether the pods run"}, true
}

// refused returns the problem of a request that the API server does not grant.
func (f facts) refused(r resource, err error) problem {
	if apierrors.IsUnauthorized(err) {
		return problem{"the API server of Kubernetes refuses the credentials", "is the service account still there, and its token mounted?", err}
	}
	if !apierrors.IsForbidden(err) {
		return problem{fmt.Sprintf("%s cannot be read", r), "see the error", err}
	}
	rule := map[resource]string{
		resourceSlices:   "a Role in namespace " + f.opts.Namespace + " with list and watch on endpointslices (discovery.k8s.io); without it the mesh does not follow the cluster",
		resourceServices: "a Role in namespace " + f.opts.Namespace + " with list and watch on services; without it nothing is known of an endpoint pod that does not start",
		resourceNodes:    "a ClusterRole with list and watch on nodes; without it this node's conditions are unknown, and nobody is told when it is cordoned or drained",
		resourcePods:     "a ClusterRole with list and watch on pods; without it pods have no names, and the pod vantage works only by the endpoint's own EndpointSlice",
		resourceEvents:   "a ClusterRole with list on events; without it sandbox failures are not counted",
	}[r]
	return problem{fmt.Sprintf("permission to read %s is missing", r), "give the agent's service account " + rule, err}
}
