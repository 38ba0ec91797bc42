package discovery

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"

	"github.com/podnet-exporter/podnet_exporter/exporter/moment"
)

// KubernetesOptions is what the source is told.
type KubernetesOptions struct {
	Node             string // this node's name in Kubernetes
	Namespace        string // of the two Services
	AgentsService    string // selects the agents
	EndpointsService string // selects the endpoints
	Kubeconfig       string // file; "" means the service account of the pod
	UserAgent        string // for the API server's logs
}

// pace is how fast Kubernetes follows changes.
type pace struct {
	settle  time.Duration // a change waits for others so long
	apart   time.Duration // two snapshots are at least so far apart, and perNode farther for each node
	perNode time.Duration
	tick    time.Duration // how often is looked for what only time changes
	grace   time.Duration // what is not there so long after a list is missing
	retry   time.Duration // after a client could not be made
}

// Kubernetes is the Source that watches the EndpointSlices of two headless
// Services, that of the agents and that of the endpoints. Beside that it knows
// this node: its Node, its Pods, and why they do not start.
//
// It watches no Pods or Nodes but its own. When the API server is away, the
// last mesh stays.
type Kubernetes struct {
	opts      KubernetesOptions
	log       *slog.Logger
	pace      pace
	health    *health
	sandboxes *sandboxes
	changed   chan struct{} // holds one; something may be other than before

	mu     sync.Mutex
	client error                  // why there is no client, nil if there is
	synced map[resource]time.Time // when a first list was complete
	mesh   *index
	own    own
}

// NewKubernetes returns a Kubernetes. Nothing is asked before Run.
func NewKubernetes(opts KubernetesOptions, log *slog.Logger) *Kubernetes {
	k := &Kubernetes{
		opts: opts,
		log:  log,
		pace: pace{
			// A mesh of 5,000 nodes, where something changes all the time, is
			// taken over every six seconds: it costs some 20 ms each time.
			settle: 200 * time.Millisecond, apart: time.Second, perNode: time.Millisecond,
			tick: time.Second, grace: 5 * time.Second, retry: 10 * time.Second,
		},
		sandboxes: newSandboxes(time.Now()),
		changed:   make(chan struct{}, 1),
		synced:    map[resource]time.Time{},
		mesh:      newIndex(opts.AgentsService),
		own:       own{pods: map[string]*ownPod{}, services: map[string]*corev1.Service{}},
	}
	k.health = newHealth(log, k.signal)
	return k
}

// Run implements [Source]. It returns nil when ctx ends, and no other error.
func (k *Kubernetes) Run(ctx context.Context, to chan<- Snapshot) error {
	ctx = klog.NewContext(ctx, logr.Discard()) // what client-go has to say is in health
	api := k.connect(ctx)
	if api == nil {
		return nil
	}
	var running sync.WaitGroup
	defer running.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for _, f := range k.followed() {
		k.follow(ctx, &running, api, f)
	}
	running.Go(func() { k.askEvents(ctx, api) })
	k.publish(ctx, to)
	return nil
}

// connect makes the client, as soon as that is possible; nil if ctx ends
// before.
func (k *Kubernetes) connect(ctx context.Context) *apiServer {
	for {
		api, err := newAPIServer(k.opts.Kubeconfig, k.opts.UserAgent, k.health)
		k.mu.Lock()
		k.client = err
		k.mu.Unlock()
		k.report()
		if err == nil {
			return api
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(k.pace.retry):
		}
	}
}

// followed is objects that are followed, and what becomes of them.
type followed struct {
	selection
	example runtime.Object
	trim    cache.TransformFunc
	change  func(before, after any) // of a trimmed object; nil is none; k.mu is held
}

// followed returns everything that is watched: the table of what the agent
// reads from the API server, besides events.
func (k *Kubernetes) followed() []followed {
	ns := k.opts.Namespace
	services := discoveryv1.LabelServiceName + " in (" + k.opts.AgentsService + "," + k.opts.EndpointsService + ")"
	thisNode := func(field string) string { return fields.OneTermEqualSelector(field, k.opts.Node).String() }
	return []followed{
		{selection{resourceSlices, ns, services, ""}, &slice{}, nil, func(before, after any) {
			if now, ok := after.(*slice); ok {
				k.mesh.put(now)
			} else if old, ok := before.(*slice); ok {
				k.mesh.drop(old.Name)
			}
		}},
		{selection{resourceServices, ns, "", ""}, &corev1.Service{}, trimService, k.own.serviceChanged},
		{selection{resourceNodes, "", "", thisNode("metadata.name")}, &corev1.Node{}, trimNode, k.own.nodeChanged},
		{selection{resourcePods, "", "", thisNode("spec.nodeName")}, &corev1.Pod{}, trimPod, func(before, after any) {
			k.own.podChanged(before, after)
			k.sandboxes.set(k.own.list(), time.Now())
		}},
	}
}

// follow starts an informer.
func (k *Kubernetes) follow(ctx context.Context, running *sync.WaitGroup, api *apiServer, f followed) {
	change := func(before, after any) {
		k.mu.Lock()
		f.change(before, after)
		k.mu.Unlock()
		k.signal()
	}
	logger := logr.Discard()
	_, informer := cache.NewInformerWithOptions(cache.InformerOptions{
		Logger:        &logger,
		ListerWatcher: api.listWatch(f.selection),
		ObjectType:    f.example,
		Transform:     f.trim,
		Handler: cache.ResourceEventHandlerFuncs{
			AddFunc:    func(object any) { change(nil, object) },
			UpdateFunc: change,
			DeleteFunc: func(object any) {
				if late, ok := object.(cache.DeletedFinalStateUnknown); ok {
					object = late.Obj
				}
				change(object, nil)
			},
		},
	})
	running.Go(func() { informer.RunWithContext(ctx) })
	running.Go(func() {
		select {
		case <-ctx.Done():
		case <-informer.HasSyncedChecker().Done():
			k.mu.Lock()
			k.synced[f.resource] = time.Now()
			k.mu.Unlock()
			k.signal()
		}
	})
}

// askEvents reads the events of pods that do not start, one pod at a time. The
// first request is for nothing but to learn whether it is allowed.
func (k *Kubernetes) askEvents(ctx context.Context, api *apiServer) {
	_, _ = api.events(ctx, k.opts.Namespace, sandboxEvents("none"), 1) // noted by api
	ticker := moment.NewTicker(k.pace.tick)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-ticker.C:
			ticker.Next()
			k.sandboxes.ask(ctx, api, now)
		}
	}
}

// signal says that something may be other than before.
func (k *Kubernetes) signal() {
	select {
	case k.changed <- struct{}{}:
	default:
	}
}

// publish sends a Snapshot after changes until ctx ends. Changes that come
// while one is waited for are in the next.
func (k *Kubernetes) publish(ctx context.Context, to chan<- Snapshot) {
	ticker := moment.NewTicker(k.pace.tick)
	defer ticker.Stop()
	var (
		last    time.Time // when a Snapshot was made
		apart   = k.pace.apart
		settled <-chan time.Time // when the next is to be
		ready   Snapshot
		out     chan<- Snapshot // nil while none is ready
	)
	for {
		select {
		case <-ctx.Done():
			return
		case <-k.changed:
			if settled == nil {
				settled = time.After(max(k.pace.settle, apart-time.Since(last)))
			}
			continue
		case out <- ready:
			out, ready = nil, Snapshot{}
			continue
		case <-settled:
			settled = nil
		case <-ticker.C:
			ticker.Next()
			if settled != nil || time.Since(last) < apart {
				continue // soon
			}
		}
		if s, changed := k.snapshot(time.Now()); changed {
			last, ready, out = time.Now(), s, to
			apart = k.pace.apart + time.Duration(len(s.Nodes))*k.pace.perNode
		}
		k.report()
	}
}

// snapshot returns the mesh; it is false if nothing has changed, or too little
// is known yet.
func (k *Kubernetes) snapshot(now time.Time) (Snapshot, bool) {
	outcomes := k.health.outcomes()
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.known(outcomes) {
		return Snapshot{}, false
	}
	changed := k.mesh.judge(now)
	if !changed && !k.own.changed {
		return Snapshot{}, false
	}
	k.own.changed = false
	return Snapshot{Nodes: k.own.in(k.mesh.list(), k.opts)}, true
}

// known reports whether there is a mesh, or will be none, and nothing of this
// node is about to come.
func (k *Kubernetes) known(outcomes map[resource]error) bool {
	for _, f := range k.followed() {
		err, asked := outcomes[f.resource]
		switch {
		case !k.synced[f.resource].IsZero():
		case !asked || err == nil: // it is coming
			return false
		case f.resource == resourceSlices && away(err):
			return false
		}
	}
	return true
}
