package main

import (
	"container/heap"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// held is a packet that the kernel holds until somebody says what becomes of
// it.
type held struct {
	due    time.Duration
	number uint64 // order of arrival, for packets that are due together
	let    func() // lets it go
}

// heldPackets is a heap: the packet that is due first is at index 0.
type heldPackets []held

func (h heldPackets) Len() int      { return len(h) }
func (h heldPackets) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h heldPackets) Less(i, j int) bool {
	return h[i].due < h[j].due || h[i].due == h[j].due && h[i].number < h[j].number
}
func (h *heldPackets) Push(x any) { *h = append(*h, x.(held)) }
func (h *heldPackets) Pop() any {
	last := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return last
}

// holder lets packets go when they are due. Waiting is left to ppoll(2) on a
// thread of its own: the runtime's timers are late by up to a millisecond on an
// idle machine.
type holder struct {
	start time.Time // of the clock that due times are on
	wake  int       // eventfd, written when the earliest packet changes or the end has come

	mu      sync.Mutex
	packets heldPackets
	number  uint64
	ended   bool
}

func newHolder() (*holder, error) {
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("eventfd: %w", err)
	}
	return &holder{start: time.Now(), wake: fd}, nil
}

// now returns the time on the holder's clock, which is monotonic.
func (h *holder) now() time.Duration { return time.Since(h.start) }

// hold calls let when the packet is due: at once if that is already so, or if
// the holder has ended.
func (h *holder) hold(due time.Duration, let func()) {
	h.mu.Lock()
	if h.ended || due <= h.now() {
		h.mu.Unlock()
		let()
		return
	}
	h.number++
	heap.Push(&h.packets, held{due, h.number, let})
	first := h.packets[0].number == h.number
	h.mu.Unlock()
	if first {
		h.rouse()
	}
}

// end makes run let all packets go and return.
func (h *holder) end() {
	h.mu.Lock()
	h.ended = true
	h.mu.Unlock()
	h.rouse()
}

func (h *holder) rouse() {
	// The only error is that the counter is full, and then run is awake.
	_, _ = unix.Write(h.wake, binary.NativeEndian.AppendUint64(nil, 1))
}

// run lets packets go until end is called, and then those that are left.
func (h *holder) run() error {
	runtime.LockOSThread() // its timer slack is changed: the thread ends with it
	if err := unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("timer slack: %w", err)
	}
	var count [8]byte
	for {
		due, wait, ended := h.due()
		for _, p := range due {
			p.let()
		}
		if ended {
			return nil
		}
		fds := []unix.PollFd{{Fd: int32(h.wake), Events: unix.POLLIN}}
		if _, err := unix.Ppoll(fds, wait, nil); err != nil && !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("wait: %w", err)
		}
		_, _ = unix.Read(h.wake, count[:]) // nothing to read is no error here
	}
}

// due takes the packets that are due, all of them after the end, and says how
// long it is to the next one; nil means that there is none.
func (h *holder) due() (due []held, wait *unix.Timespec, ended bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := h.now()
	for len(h.packets) > 0 && (h.ended || h.packets[0].due <= now) {
		due = append(due, heap.Pop(&h.packets).(held))
	}
	if len(h.packets) > 0 {
		ts := unix.NsecToTimespec(int64(h.packets[0].due - now))
		wait = &ts
	}
	return due, wait, h.ended
}

// preferred lets every thread of this process, and those that they start, run
// before those of other programs: what waits for a busy machine would be a
// delay that nobody asked for. Threads that end meanwhile are no error.
func preferred() error {
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return fmt.Errorf("threads: %w", err)
	}
	for _, thread := range threads {
		id, err := strconv.Atoi(thread.Name())
		if err == nil {
			err = unix.Setpriority(unix.PRIO_PROCESS, id, -15)
		}
		if err != nil && !errors.Is(err, unix.ESRCH) {
			return fmt.Errorf("priority of thread %s: %w", thread.Name(), err)
		}
	}
	return nil
}
