package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/version"

	"github.com/podnet-exporter/podnet_exporter/exporter/config"
	"github.com/podnet-exporter/podnet_exporter/exporter/discovery"
	"github.com/podnet-exporter/podnet_exporter/exporter/mesh"
	"github.com/podnet-exporter/podnet_exporter/exporter/metrics"
	"github.com/podnet-exporter/podnet_exporter/exporter/moment"
	"github.com/podnet-exporter/podnet_exporter/exporter/netns"
	"github.com/podnet-exporter/podnet_exporter/exporter/schedule"
	"github.com/podnet-exporter/podnet_exporter/probers"
)

// agent probes the mesh from one node. Its state belongs to the goroutine of
// run; what others read is in parts with locks of their own.
type agent struct {
	node       string
	log        *slog.Logger
	configFile string
	registerer prometheus.Registerer
	key        []byte // of the cluster, nil if there is none

	recorder   *metrics.Recorder
	paths      *metrics.Paths
	prober     *metrics.Prober
	reloads    *metrics.Reloads
	board      *board
	vantages   map[string]*vantage
	namespaces *netns.Table
	view       meshView
	names      *hopNames
	announced  announced
	kubernetes atomic.Pointer[discovery.Kubernetes] // nil: nodes are discovered elsewhere
	reloadNow  chan chan error
	ended      chan struct{} // closed when run has returned

	cfg        *config.Config
	snapshot   discovery.Snapshot
	found      bool // a snapshot has come
	chooser    mesh.Chooser
	applied    applied
	targets    map[meshTarget]*sink
	measuring  map[courseKey]course
	rotation   *rotation
	coverage   *metrics.Coverage
	covered    time.Time // when it was counted last
	collectors atomic.Pointer[collection]

	snapshots                          chan discovery.Snapshot
	collecting, discovering, responder service
	answering                          *probers.Responder // that runs, nil if none does
}

// applied is what the running targets were made from.
type applied struct {
	cfg   *config.Config
	nodes []*discovery.Node // probed
}

// newAgent returns an agent that reports to reg, with nothing running yet.
func newAgent(cfg *config.Config, configFile string, reg prometheus.Registerer, log *slog.Logger) *agent {
	key, err := probers.ReadKeyFile(cfg.Responder.KeyFile)
	if err != nil {
		log.Warn("UDP is neither probed nor answered: the cluster's key cannot be read", "err", err,
			"hint", "give responder.key_file the same random text on every node, in Kubernetes by a Secret, and restart the agent")
	}
	a := &agent{
		node:       cfg.Node,
		log:        log,
		configFile: configFile,
		registerer: reg,
		recorder:   metrics.NewRecorder(reg),
		paths:      metrics.NewPaths(reg),
		prober:     metrics.NewProber(reg),
		reloads:    metrics.NewReloads(reg),
		namespaces: netns.NewTable(log),
		reloadNow:  make(chan chan error),
		ended:      make(chan struct{}),
		snapshots:  make(chan discovery.Snapshot),
		key:        key,
		cfg:        cfg,
		chooser:    mesh.Chooser{Self: cfg.Node},
		targets:    make(map[meshTarget]*sink),
		measuring:  make(map[courseKey]course),
	}
	metrics.NewKubernetes(reg, a.kubernetesStatus)
	a.prober.Key(len(key) > 0)
	a.board = newBoard(a.recorder)
	a.coverage = metrics.NewCoverage(reg)
	a.rotation = newRotation(metrics.NewRotation(reg), a.board, log)
	if a.names, err = openHopNames(); err != nil {
		log.Warn("bridges and tunnels on paths are called by their addresses", "err", err)
	}
	a.vantages = map[string]*vantage{
		vantageNode: a.newVantage(vantageNode),
		vantagePod:  a.newVantage(vantagePod),
	}
	return a
}

func (a *agent) newVantage(name string) *vantage {
	return newVantage(name, a.key, a.log, a.prober.Vantage(name), func() { a.board.forget(name) })
}

// run works until ctx ends. hup asks for a reload.
func (a *agent) run(ctx context.Context, hup <-chan struct{}) error {
	defer a.names.close()
	var running sync.WaitGroup
	defer running.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer close(a.ended)
	defer a.namespaces.Close()
	defer a.collecting.stop()
	defer a.responder.stop()
	defer a.discovering.stop()

	if err := a.start(ctx, a.cfg); err != nil {
		return err
	}
	running.Go(func() { a.vantages[vantageNode].run(ctx) })
	var podStarted bool

	ticker := moment.NewTicker(cycleInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case s := <-a.snapshots:
			a.snapshot, a.found = s, true
			a.apply()
			if !podStarted {
				podStarted = true
				running.Go(func() { a.vantages[vantagePod].run(ctx) })
			}
		case <-hup:
			if err := a.reload(ctx); err != nil {
				a.log.Error("reload refused, the running configuration stays", "err", err)
			}
		case answer := <-a.reloadNow:
			answer <- a.reload(ctx)
		case now := <-ticker.C:
			ticker.Next()
			a.board.judge(now)
			a.collectors.Load().refresh()
			if a.announced.take() {
				a.apply()
			}
			a.follow(a.view.own())
			a.cover(now)
			if a.rotation.next(a.cfg, now) {
				a.visit()
			}
			for _, v := range a.vantages {
				v.publish(now)
			}
		}
	}
}

// start starts what a configuration asks for, and ends what it does not ask for
// any more. What did not change goes on.
func (a *agent) start(ctx context.Context, cfg *config.Config) error {
	if err := a.replaceCollectors(ctx, cfg); err != nil {
		return err
	}
	if err := a.replaceResponder(ctx, cfg.Responder); err != nil {
		return err
	}
	a.replaceDiscovery(ctx, cfg.Discovery)
	return nil
}

// replaceResponder makes the responder on the node's own addresses that of
// cfg, unless it is.
func (a *agent) replaceResponder(ctx context.Context, cfg config.Responder) error {
	if a.responder.runs(cfg) {
		return nil
	}
	a.responder.stop() // its port is needed
	if a.answering = nil; !cfg.Enabled {
		return nil
	}
	r, err := probers.NewResponder(probers.ResponderOptions{
		Listen: cfg.Listen, Node: a.node, Version: version.Version, Key: a.key, Batch: moment.Apart,
	})
	if err != nil {
		return err
	}
	a.answering = r
	a.announce()
	a.responder.replace(ctx, cfg, func(ctx context.Context) {
		if err := r.Run(ctx); err != nil {
			a.log.Error("responder ended", "err", err)
		}
	})
	return nil
}

// replaceDiscovery makes the source of the mesh that of cfg, unless it is.
func (a *agent) replaceDiscovery(ctx context.Context, cfg config.Discovery) {
	if a.discovering.runs(cfg) {
		return
	}
	a.discovering.stop() // two sources would send two meshes
	source := a.source(cfg)
	a.discovering.replace(ctx, cfg, func(ctx context.Context) {
		if err := source.Run(ctx, a.snapshots); err != nil {
			a.log.Error("discovery ended", "err", err)
		}
	})
}

// reload reads the configuration again. A mistake in it changes nothing.
func (a *agent) reload(ctx context.Context) error {
	cfg, err := config.Load(a.configFile)
	if err == nil && cfg.Responder.KeyFile != a.cfg.Responder.KeyFile {
		err = errors.New("responder.key_file: changed; restart the agent for another key")
	}
	if err == nil && cfg.Node != a.node {
		err = fmt.Errorf("node: changed from %q to %q; a node's name is in every series, so restart the agent for a new one", a.node, cfg.Node)
	}
	if err == nil {
		err = a.start(ctx, cfg)
	}
	a.reloads.Done(err == nil, time.Now())
	if err != nil {
		return err
	}
	a.cfg = cfg
	a.apply()
	a.log.Info("configuration reloaded", "file", a.configFile)
	return nil
}

// apply makes the running targets those of the present mesh and configuration.
// Targets that stay keep their series.
func (a *agent) apply() {
	if !a.found {
		return
	}
	a.announce()
	self, known := a.snapshot.Node(a.node)
	if !known {
		a.log.Warn("this node is not in the mesh, so it has no pod vantage and no control", "node", a.node,
			"hint", "set node (or $NODE_NAME) to the name that discovery gives it")
	}
	a.view.set(a.snapshot, a.node)
	a.namespaces.Set(localPods(self))
	a.follow(self.Endpoint.Pod)

	nodes := a.announced.over(chosen(a.cfg, a.snapshot.Nodes, &a.chooser))
	ended := a.rotation.set(a.node, a.snapshot.Nodes, nodes)
	a.names.set(a.snapshot, a.node, nodes)
	a.prober.Peers(peerStates(a.node, nodes, len(a.snapshot.Nodes)))
	if a.cfg == a.applied.cfg && slices.EqualFunc(nodes, a.applied.nodes, (*discovery.Node).SameAs) {
		if ended {
			a.visit()
		}
		return // something changed that is not probed all the time
	}
	a.applied.cfg, a.applied.nodes = a.cfg, nodes
	a.view.setProbed(nodes)
	a.prober.Zones(zonePairs(self.Zone, a.node, nodes))
	a.board.set(boardPeers(nodes, a.node))
	a.setTargets(meshTargets(a.cfg, len(a.key) > 0, nodes), a.courses(nodes))
	a.visit()
}

// follow makes the pod vantage that of this node's endpoint, whose namespace
// is another one after its pod was replaced.
func (a *agent) follow(endpoint discovery.Pod) {
	a.vantages[vantagePod].setPath(a.namespaces.Path(endpoint))
}

// setTargets starts and stops probing so that exactly the wanted targets run.
func (a *agent) setTargets(wanted []meshTarget, courses []courseKey) {
	sinks := make(map[meshTarget]*sink, len(wanted))
	byVantage := make(map[string][]schedule.Target)
	kept := make(map[metrics.Path]bool)
	zones := make(map[string]bool)
	for _, t := range wanted {
		s, ok := a.targets[t]
		if !ok {
			s = &sink{
				target: a.recorder.Target(t.path), vantage: a.vantages[t.vantage], board: a.board, announced: &a.announced,
				node: t.peer.node, peer: a.board.peer(t.peer), at: t.at, keep: t.keep(),
			}
		}
		sinks[t], kept[t.path.Series()], zones[t.path.PeerZone] = s, true, true
		byVantage[t.vantage] = append(byVantage[t.vantage], t.scheduled(s))
	}
	measuring := make(map[courseKey]course, len(courses))
	for _, k := range courses {
		c, ok := a.measuring[k]
		if !ok {
			c = a.newCourse(k)
		}
		measuring[k] = c
		byVantage[k.vantage] = append(byVantage[k.vantage], k.scheduled(c))
	}
	for name, v := range a.vantages {
		v.loop.Set("mesh", byVantage[name])
	}
	for k, c := range a.measuring {
		if measuring[k] == nil {
			c.forget()
		}
	}
	a.measuring = measuring
	for t, s := range a.targets {
		if !kept[t.path.Series()] {
			s.target.Forget()
		}
	}
	a.recorder.KeepZones(zones)
	a.targets = sinks
}

// visit gives the loops the nodes that this node visits now.
func (a *agent) visit() {
	visits := a.rotation.targets(a.cfg, a.vantages)
	for name, v := range a.vantages {
		v.loop.Set("visits", visits[name])
	}
}

// boardPeers returns what the board has to know about the probed nodes.
func boardPeers(nodes []*discovery.Node, self string) map[peerKey]peerState {
	peers := make(map[peerKey]peerState)
	for _, n := range nodes {
		for _, addr := range n.Addresses {
			peers[peerKey{n.Name, n.Zone, family(addr)}] = peerState{self: n.Name == self, state: n.State}
		}
		for _, addr := range n.Endpoint.Addresses {
			peers[peerKey{n.Name, n.Zone, family(addr)}] = peerState{self: n.Name == self, state: n.State}
		}
	}
	return peers
}

// zonePairs returns, for each peer of this node, the zones that the two are
// in; "" if that is one zone, or not known.
func zonePairs(zone, self string, nodes []*discovery.Node) map[string]string {
	pairs := make(map[string]string)
	for _, n := range nodes {
		switch {
		case n.Name == self:
		case zone == "" || n.Zone == "" || zone == n.Zone:
			pairs[n.Name] = ""
		default:
			pairs[n.Name] = min(zone, n.Zone) + "-" + max(zone, n.Zone)
		}
	}
	return pairs
}
