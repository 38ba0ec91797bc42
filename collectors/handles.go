package collectors

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"
	"time"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// errGone says that a namespace vanished after it was listed. It is not a
// failure: pods end.
var errGone = errors.New("network namespace is gone")

// Handles keeps open what the collectors read namespaces through: netlink
// sockets and files of /proc. Each is opened once, inside its namespace, and
// used by every scrape after that without entering the namespace again.
//
// An open handle keeps its namespace alive. So a namespace that is not listed
// any more loses its handles at the next scrape, or, when nobody scrapes,
// within the interval of [Handles.Run].
type Handles struct {
	// Brief tells of which pods only little is reported: their interface and
	// whether it is up, and of everything else what went wrong, once it did.
	// A node has a hundred pods, and what they send and receive is counted by
	// others. Nil: of none. It is set before the first scrape.
	Brief func(namespace, pod string) bool

	namespaces Namespaces

	mu      sync.Mutex
	open    map[uint64]map[string]io.Closer // by Namespace.Inode and kind of handle; nil after Close
	noticed map[uint64]bool                 // by Namespace.Inode
}

// sweepInterval is how long a namespace that is gone may be kept alive when
// nothing scrapes the agent.
const sweepInterval = 5 * time.Second

// bufferSize is what the kernel uses at most for one part of a netlink dump.
const bufferSize = 32 << 10

// answerTimeout is how long the kernel may take to answer. It answers at once,
// but a request that it ignores must not stop the scrape for ever.
const answerTimeout = 2 * time.Second

// NewHandles returns Handles for the listed namespaces. Nothing is open yet.
func NewHandles(namespaces Namespaces) *Handles {
	return &Handles{namespaces: namespaces, open: map[uint64]map[string]io.Closer{}}
}

// Run lets go of namespaces that are gone, until ctx ends, and then of all.
func (h *Handles) Run(ctx context.Context) {
	tick := time.NewTicker(sweepInterval)
	defer tick.Stop()
	defer h.Close()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			h.list()
		}
	}
}

// Close closes every handle. Collectors that read afterwards find no
// namespace.
func (h *Handles) Close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, kinds := range h.open {
		closeAll(kinds)
	}
	h.open = nil
}

// brief tells whether little is to be reported of a namespace.
func (h *Handles) brief(ns Namespace) bool { return !ns.Node && h.briefPod(ns.Namespace, ns.Pod) }

func (h *Handles) briefPod(namespace, pod string) bool {
	return h.Brief != nil && h.Brief(namespace, pod)
}

// notice keeps in which namespaces of pods of which little is reported something
// is wrong, by their inodes, so that somebody may have to enter them.
func (h *Handles) notice(wrong map[uint64]map[int32]bool) {
	noticed := make(map[uint64]bool, len(wrong))
	for inode := range wrong {
		noticed[inode] = true
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.noticed = noticed
}

// wrong tells whether something was wrong in a namespace when its interfaces
// were read last, which may be in the scrape before this one.
func (h *Handles) wrong(ns Namespace) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.noticed[ns.Inode]
}

// list returns the namespaces as they are now, and closes the handles of all
// others.
func (h *Handles) list() []Namespace {
	listed := h.namespaces.List()
	alive := make(map[uint64]bool, len(listed))
	for _, ns := range listed {
		alive[ns.Inode] = true
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for inode, kinds := range h.open {
		if !alive[inode] {
			closeAll(kinds)
			delete(h.open, inode)
		}
	}
	return listed
}

func closeAll(kinds map[string]io.Closer) {
	for _, c := range kinds {
		c.Close()
	}
}

// each calls read for every namespace. A namespace that vanished meanwhile is
// skipped; one that fails does not keep the others from being read, and the
// first failure is returned.
func (h *Handles) each(read func(ns Namespace) error) error {
	var first error
	failed := 0
	for _, ns := range h.list() {
		err := read(ns)
		if err == nil || gone(err) {
			continue
		}
		if failed++; first == nil {
			first = fmt.Errorf("%s: %w", ns.Name(), err)
		}
	}
	if failed > 1 {
		return fmt.Errorf("%w (and %d more network namespaces)", first, failed-1)
	}
	return first
}

// gone tells whether err came of a namespace, and so its handle, that went
// away while it was read.
func gone(err error) bool {
	return errors.Is(err, errGone) || errors.Is(err, os.ErrClosed) || errors.Is(err, unix.EBADF)
}

// open returns the handle of that kind in the namespace; dial opens it, inside
// the namespace, when there is none yet.
func open[T io.Closer](h *Handles, ns Namespace, kind string, dial func() (T, error)) (T, error) {
	var fresh, none T
	if c, ok := h.opened(ns, kind); ok {
		return c.(T), nil
	}
	entered := false
	err := ns.Do(func() (err error) {
		entered = true
		fresh, err = dial()
		return err
	})
	switch {
	case err == nil:
	case !entered && (errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ESRCH)):
		return none, fmt.Errorf("%w: %w", errGone, err)
	case !entered && errors.Is(err, fs.ErrPermission):
		return none, fmt.Errorf("%w: %w: give the agent CAP_SYS_ADMIN and CAP_SYS_PTRACE, with which it enters the namespaces of pods", ErrUnsupported, err)
	default:
		return none, err
	}
	kept, err := h.keep(ns, kind, fresh)
	if err != nil {
		return none, err
	}
	return kept.(T), nil
}

func (h *Handles) opened(ns Namespace, kind string) (io.Closer, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	c, ok := h.open[ns.Inode][kind]
	return c, ok
}

// keep stores a handle. When another scrape was faster, that one's is used.
func (h *Handles) keep(ns Namespace, kind string, fresh io.Closer) (io.Closer, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.open == nil {
		fresh.Close()
		return nil, errGone
	}
	if c, ok := h.open[ns.Inode][kind]; ok {
		fresh.Close()
		return c, nil
	}
	if h.open[ns.Inode] == nil {
		h.open[ns.Inode] = map[string]io.Closer{}
	}
	h.open[ns.Inode][kind] = fresh
	return fresh, nil
}

// forget closes a handle whose state is not known after an error, so that the
// next scrape opens another.
func (h *Handles) forget(ns Namespace, kind string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if c, ok := h.open[ns.Inode][kind]; ok {
		c.Close()
		delete(h.open[ns.Inode], kind)
	}
}

// The netlink protocols that collectors speak. The name is the handle's kind.
var (
	rtnetlink = protocol{"rtnetlink", unix.NETLINK_ROUTE}
	netfilter = protocol{"netfilter", unix.NETLINK_NETFILTER}
	sockDiag  = protocol{"sock_diag", unix.NETLINK_SOCK_DIAG}
)

type protocol struct {
	name   string
	number int
}

// query asks the kernel over the namespace's netlink socket and returns its
// answer. An errno that the kernel answered is wrapped in the error.
func (h *Handles) query(ns Namespace, p protocol, request netlink.Message) ([]netlink.Message, error) {
	conn, err := open(h, ns, p.name, func() (*netlink.Conn, error) {
		return netlink.Dial(p.number, &netlink.Config{MessageBufferSize: bufferSize})
	})
	if err != nil {
		return nil, err
	}
	if err := conn.SetReadDeadline(time.Now().Add(answerTimeout)); err != nil {
		return nil, err
	}
	answer, err := conn.Execute(request)
	var errno unix.Errno
	if err != nil && !errors.As(err, &errno) {
		h.forget(ns, p.name)
	}
	return answer, err
}

// file returns a file of /proc/net as the namespace sees it, which can be
// read from its begin again and again.
func (h *Handles) file(ns Namespace, name string) (*os.File, error) {
	return open(h, ns, name, func() (*os.File, error) {
		return os.Open("/proc/thread-self/net/" + name)
	})
}

// netns returns an open file that refers to the namespace itself.
func (h *Handles) netns(ns Namespace) (*os.File, error) {
	return open(h, ns, "netns", func() (*os.File, error) {
		return os.Open("/proc/thread-self/ns/net")
	})
}
