package main

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"sync"
	"time"

	"github.com/podnet-exporter/podnet_exporter/exporter/metrics"
	"github.com/podnet-exporter/podnet_exporter/exporter/moment"
	"github.com/podnet-exporter/podnet_exporter/exporter/netns"
	"github.com/podnet-exporter/podnet_exporter/exporter/schedule"
	"github.com/podnet-exporter/podnet_exporter/exporter/web"
	"github.com/podnet-exporter/podnet_exporter/probers"
)

const (
	// vantageCheck is how often a vantage looks whether its namespace is
	// still the one that it probes from.
	vantageCheck = time.Second

	// late is for how long the prober may be kept from working before it
	// counts as impaired. It reads what waits in its sockets before it calls
	// a probe lost, so a shorter pause loses nothing; and a loaded but
	// healthy machine stays below.
	late = 300 * time.Millisecond
)

// vantage is a place that probes are sent from. It keeps probing from the
// namespace that its path refers to, also when that is made anew.
type vantage struct {
	name   string
	own    bool // probes from this process's own namespace, path is not used
	log    *slog.Logger
	series *metrics.Vantage
	loop   *schedule.Loop
	lost   func() // told when the namespace is gone

	mu       sync.Mutex
	path     string // where the namespace is found; "" if unknown
	inode    uint64 // that is probed from, 0 if none
	err      error  // why nothing is probed from it, nil if it is
	impaired impairment
	skipped  uint64
	drops    uint64
	failing  string // why some probes cannot be sent, as it was logged
}

// newVantage returns a vantage whose UDP probes are signed with key; nil if
// there are none.
func newVantage(name string, key []byte, log *slog.Logger, series *metrics.Vantage, lost func()) *vantage {
	v := &vantage{name: name, own: name == vantageNode, log: log.With("vantage", name), series: series, lost: lost}
	v.loop = schedule.NewLoop(func() (schedule.Engine, error) { return newEngine(key) }, v.health)
	return v
}

// newEngine returns the engine of a loop. It is called on the loop's thread.
func newEngine(key []byte) (schedule.Engine, error) {
	e, err := probers.NewEngine()
	if err != nil {
		return nil, err
	}
	e.Threshold = late
	e.SetKey(key)
	return e, nil
}

// setPath says where the namespace is found; "" if it is not. Takes effect
// within vantageCheck. Another path to the same namespace changes nothing.
func (v *vantage) setPath(path string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.path = path
}

// run probes from the vantage until ctx ends.
func (v *vantage) run(ctx context.Context) {
	defer v.series.Up(false)
	var missing bool // logged
	for ctx.Err() == nil {
		err := v.runOnce(ctx)
		v.mu.Lock()
		v.err = err
		v.mu.Unlock()
		switch {
		case ctx.Err() != nil:
			return
		case err == nil: // the namespace was made anew
			v.log.Info("network namespace was replaced, probing from the new one")
			missing = false
			continue
		case !missing:
			v.log.Warn("cannot probe from this vantage, trying again every second", "err", err, "hint", hint(err))
			missing = true
		}
		select {
		case <-ctx.Done():
		case <-time.After(vantageCheck):
		}
	}
}

// runOnce probes until the path refers to another namespace.
func (v *vantage) runOnce(ctx context.Context) error {
	v.mu.Lock()
	path := v.path
	v.mu.Unlock()
	if path == "" && !v.own {
		return errNoNamespace
	}
	ns, err := netns.Open(path)
	if err != nil {
		return err
	}
	defer ns.Close()

	loopCtx, cancel := context.WithCancel(ctx)
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- v.loop.Run(loopCtx, ns) }()
	v.running(ns.Inode())
	defer v.running(0)

	ticker := moment.NewTicker(vantageCheck)
	defer ticker.Stop()
	for {
		select {
		case err := <-ended:
			return err
		case <-ticker.C:
			ticker.Next()
			if v.moved(ns.Inode()) {
				cancel()
				return <-ended
			}
		}
	}
}

// moved reports whether the namespace is not the one of that inode any more.
func (v *vantage) moved(inode uint64) bool {
	v.mu.Lock()
	path := v.path
	v.mu.Unlock()
	if v.own {
		return false
	}
	now, err := netns.Inode(path)
	return err != nil || now != inode
}

func (v *vantage) running(inode uint64) {
	v.mu.Lock()
	v.inode = inode
	v.mu.Unlock()
	v.series.Up(inode != 0)
	if inode == 0 {
		v.lost()
	}
}

// sent notes how late a probe was sent.
func (v *vantage) sent(now time.Time, delay time.Duration) {
	v.series.Delay(delay)
	var ours uint64
	if delay > late {
		ours = 1
	}
	v.probed(now, 1, ours)
}

// probed notes probes, and how many of them were spoilt by the prober itself.
func (v *vantage) probed(now time.Time, probes, ours uint64) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.impaired.add(now, probes, ours)
}

// health implements the loop's report: what it skipped, what its sockets
// dropped, and what it could not send.
func (v *vantage) health(h schedule.Health) {
	v.unable(h.Err)
	skipped, drops := h.Skipped, h.Stats.Drops
	if skipped == v.skipped && drops == v.drops {
		return
	}
	// A new loop counts from zero again.
	unsent, unread := since(v.skipped, skipped), since(v.drops, drops)
	v.series.Skipped(unsent)
	v.series.SocketDrops(unread)
	v.skipped, v.drops = skipped, drops
	v.probed(time.Now(), unsent, unsent+unread)
}

// unable logs why some probes cannot be sent, once.
func (v *vantage) unable(err error) {
	var failing string
	if err != nil {
		failing = err.Error()
	}
	if failing != "" && failing != v.failing {
		v.log.Warn("some probes cannot be sent from this vantage, and count as impaired; the others go on", "err", err)
	}
	v.failing = failing
}

// since returns how much a counter grew that may have started anew.
func since(before, now uint64) uint64 {
	if now < before {
		return now
	}
	return now - before
}

// publish sets the gauges that depend on the time.
func (v *vantage) publish(now time.Time) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.series.Impaired(v.impaired.lately(now))
}

// status returns what the status page says of the vantage.
func (v *vantage) status(now time.Time) web.Vantage {
	v.mu.Lock()
	defer v.mu.Unlock()
	s := web.Vantage{Name: v.name, Path: v.path, Up: v.inode != 0, Impaired: v.impaired.lately(now)}
	if v.err != nil && !s.Up {
		s.Error = v.err.Error()
	}
	return s
}

// up reports whether the vantage is probed from.
func (v *vantage) up() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.inode != 0
}

// errNoNamespace is why a pod vantage does not run on a node without a pod.
var errNoNamespace = errors.New("no network namespace of this node's endpoint is known")

// hint says what a person can do about a vantage that does not work.
func hint(err error) string {
	switch {
	case errors.Is(err, errNoNamespace):
		return "is the endpoint pod running on this node? The agent finds it among the node's processes, for which it needs hostPID and CAP_SYS_PTRACE; a discovery file has to give the endpoint a netns"
	case errors.Is(err, fs.ErrNotExist):
		return "is the endpoint pod running on this node?"
	case errors.Is(err, fs.ErrPermission):
		return "the agent needs CAP_SYS_ADMIN, and CAP_SYS_PTRACE for a path in /proc, to enter it, and CAP_NET_RAW to probe from it"
	}
	return "see the error"
}
