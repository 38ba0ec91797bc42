package discovery

import (
	"context"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"
)

const (
	// sandboxGrace is how long a pod may be without a sandbox before its events
	// are read: most have one sooner.
	sandboxGrace = 2 * time.Second

	// sandboxLate is how long it may be without one before it counts as late.
	sandboxLate = 10 * time.Second

	// firstAgain and lastAgain are the times after which the events of a pod are
	// read again. The kubelet itself tries less and less often.
	firstAgain = 5 * time.Second
	lastAgain  = time.Minute

	// eventsAtMost is how many events of one pod are read. The kubelet writes at
	// most 25 of a kind about one pod before it is silent for minutes.
	eventsAtMost = 100
)

// sandboxes counts why pods of this node get no sandbox.
//
// Events cannot be watched by node, and those of the whole cluster are too
// many when a network breaks everywhere. So they are read for each pod that
// does not start, one pod after the other.
type sandboxes struct {
	since time.Time // events that ended before say nothing new; in whole seconds, as the API has them

	mu     sync.Mutex
	pods   map[types.UID]*unsandboxed
	counts map[SandboxFailure]uint64
}

// unsandboxed is a pod that has no sandbox yet, or none any more.
type unsandboxed struct {
	namespace string
	from      time.Time // it has been seen so
	next      time.Time // its events are read
	again     time.Duration
	seen      map[types.UID]int32 // counts of its events that are counted
	last      SandboxFailure      // the latest; "" if none is known
}

func newSandboxes(now time.Time) *sandboxes {
	s := &sandboxes{since: now.Truncate(time.Second), pods: map[types.UID]*unsandboxed{}, counts: map[SandboxFailure]uint64{}}
	for _, reason := range SandboxFailures() {
		s.counts[reason] = 0
	}
	return s
}

// set says which pods the node has.
func (s *sandboxes) set(pods []OwnPod, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	there := make(map[types.UID]bool, len(pods))
	for _, p := range pods {
		if p.Sandbox || p.Terminating || p.ended() {
			continue
		}
		there[p.object] = true
		if s.pods[p.object] == nil {
			s.pods[p.object] = &unsandboxed{
				namespace: p.Namespace, from: now, next: now.Add(sandboxGrace), again: firstAgain, seen: map[types.UID]int32{},
			}
		}
	}
	for uid := range s.pods {
		if !there[uid] {
			delete(s.pods, uid)
		}
	}
}

// due returns the pod whose events are to be read now, the longest due first.
func (s *sandboxes) due(now time.Time) (namespace string, uid types.UID, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var first *unsandboxed
	for id, p := range s.pods {
		if !p.next.After(now) && (first == nil || p.next.Before(first.next)) {
			first, uid = p, id
		}
	}
	if first == nil {
		return "", "", false
	}
	first.next = now.Add(first.again)
	first.again = min(2*first.again, lastAgain)
	return first.namespace, uid, true
}

// note counts the events of a pod, each of its failures once.
func (s *sandboxes) note(uid types.UID, events []corev1.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.pods[uid]
	if p == nil {
		return // it started meanwhile
	}
	var latest time.Time
	for i := range events {
		e := &events[i]
		reason := classifySandbox(e.Message)
		before, known := p.seen[e.UID]
		s.counts[reason] += failuresOf(e, before, known, s.since)
		p.seen[e.UID] = occurrences(e)
		if at := lastTime(e); !at.Before(latest) {
			latest, p.last = at, reason
		}
	}
}

// failuresOf returns how many failures an event adds to those that were counted
// of it before.
func failuresOf(e *corev1.Event, before int32, known bool, since time.Time) uint64 {
	now := occurrences(e)
	switch {
	case known:
		return uint64(max(now-before, 0))
	case lastTime(e).Before(since):
		return 0
	case firstTime(e).Before(since):
		return 1 // and it cannot be told how many of the others
	}
	return uint64(now)
}

// occurrences returns how often an event happened, at least once.
func occurrences(e *corev1.Event) int32 {
	if e.Series != nil {
		return max(e.Series.Count, 1)
	}
	return max(e.Count, 1)
}

func firstTime(e *corev1.Event) time.Time {
	if e.FirstTimestamp.IsZero() {
		return e.EventTime.Time
	}
	return e.FirstTimestamp.Time
}

func lastTime(e *corev1.Event) time.Time {
	switch {
	case e.Series != nil:
		return e.Series.LastObservedTime.Time
	case !e.LastTimestamp.IsZero():
		return e.LastTimestamp.Time
	}
	return e.EventTime.Time
}

// failures returns how many failures there were since the start, with every
// reason in it.
func (s *sandboxes) failures() map[SandboxFailure]uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	counts := make(map[SandboxFailure]uint64, len(s.counts))
	for reason, n := range s.counts {
		counts[reason] = n
	}
	return counts
}

// late returns how many pods have had no sandbox for too long, by their latest
// failure, "" if none was reported; every reason is in it.
func (s *sandboxes) late(now time.Time) map[SandboxFailure]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	late := map[SandboxFailure]int{"": 0}
	for _, reason := range SandboxFailures() {
		late[reason] = 0
	}
	for _, p := range s.pods {
		if now.Sub(p.from) >= sandboxLate {
			late[p.last]++
		}
	}
	return late
}

// lastFailure returns the latest failure of a pod, "" if none is known.
func (s *sandboxes) lastFailure(uid types.UID) SandboxFailure {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p := s.pods[uid]; p != nil {
		return p.last
	}
	return ""
}

// ask reads the events of one pod, if one is due.
func (s *sandboxes) ask(ctx context.Context, api *apiServer, now time.Time) {
	namespace, uid, ok := s.due(now)
	if !ok {
		return
	}
	// What goes wrong is noted by api, and said with the other problems.
	if events, err := api.events(ctx, namespace, sandboxEvents(uid), eventsAtMost); err == nil {
		s.note(uid, events)
	}
}

// sandboxEvents selects the events about failures of a pod's sandbox.
func sandboxEvents(pod types.UID) string {
	return fields.SelectorFromSet(fields.Set{"involvedObject.uid": string(pod), "reason": "FailedCreatePodSandBox"}).String()
}
