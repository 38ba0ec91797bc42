package discovery

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/fsnotify/fsnotify"
)

const (
	// settle is how long a change is left to settle before the file is read:
	// a file that is written in place is not whole at its first event.
	settle = 100 * time.Millisecond

	// pollEvery is how often the file is read without an event, for changes
	// that make none: behind a symlink to another folder, or on a network
	// file system.
	pollEvery = 5 * time.Second
)

// File is the Source that reads a YAML file, and watches it.
//
// The folder is watched and not the file, because files are replaced: by
// rename, and by Kubernetes, which mounts a ConfigMap as a symlink through a
// folder that it swaps. A file with a mistake is logged once, and the last good
// mesh stays.
type File struct {
	path string
	log  *slog.Logger

	settle, poll time.Duration

	mu  sync.Mutex
	err error // why the file cannot be used now, nil when it can
}

// NewFile returns a File. Nothing is read before Run.
func NewFile(path string, log *slog.Logger) *File {
	return &File{path: path, log: log, settle: settle, poll: pollEvery, err: fmt.Errorf("discovery: %s was not read yet", path)}
}

// Err returns nil when the mesh is what the file says now, and otherwise why
// it is not. It may be called at any time.
func (f *File) Err() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.err
}

// Run implements [Source]. It returns nil when ctx ends, and no other error:
// what is wrong with the file can be put right while Run waits.
func (f *File) Run(ctx context.Context, to chan<- Snapshot) error {
	w := newWatch(f.path)
	defer w.close()
	poll := time.NewTicker(f.poll)
	defer poll.Stop()

	var last []byte // the text that was read last, nil before
	var settled <-chan time.Time
	for {
		snapshot, changed := f.read(&last)
		if changed {
			select {
			case to <- snapshot:
			case <-ctx.Done():
				return nil
			}
		}
		for wait := true; wait; {
			select {
			case <-ctx.Done():
				return nil
			case <-w.errors(): // events were lost, so there was one
				settled = time.After(0)
			case <-w.events():
				if settled == nil {
					settled = time.After(f.settle)
				}
			case <-settled:
				settled, wait = nil, false
			case <-poll.C:
				w.renew()
				wait = false
			}
		}
	}
}

// read reads the file, and returns the mesh if it is another than before. Last
// is the text that was read before.
func (f *File) read(last *[]byte) (s Snapshot, changed bool) {
	data, err := os.ReadFile(f.path)
	if err != nil {
		f.report(fmt.Errorf("discovery: %w", err))
		*last = nil
		return Snapshot{}, false
	}
	if *last != nil && bytes.Equal(data, *last) {
		return Snapshot{}, false
	}
	*last = append([]byte{}, data...)
	s, err = parseNodes(f.path, data)
	f.report(err)
	return s, err == nil
}

// report keeps err as the file's present state, and logs when it changed.
func (f *File) report(err error) {
	f.mu.Lock()
	before := f.err
	f.err = err
	f.mu.Unlock()
	switch {
	case err != nil && (before == nil || before.Error() != err.Error()):
		f.log.Error("the file of nodes cannot be used, the last good mesh stays", "path", f.path, "err", err)
	case err == nil && before != nil:
		f.log.Info("the file of nodes was read", "path", f.path)
	}
}

// watch is the folder of a file, as long as it can be watched.
type watch struct {
	dir     string
	watcher *fsnotify.Watcher // nil: not possible, there is only polling
}

func newWatch(path string) *watch {
	w := &watch{dir: filepath.Dir(path)}
	w.renew()
	return w
}

// renew starts watching if that is not going on: the folder may be younger
// than the agent, or may have been made anew.
func (w *watch) renew() {
	if w.watcher == nil {
		watcher, err := fsnotify.NewWatcher()
		if err != nil {
			return // no inotify instance left; tried again at the next poll
		}
		w.watcher = watcher
	}
	if err := w.watcher.Add(w.dir); err != nil {
		w.close()
	}
}

// events returns a channel of changes in the folder, which may be nil.
func (w *watch) events() <-chan fsnotify.Event {
	if w.watcher == nil {
		return nil
	}
	return w.watcher.Events
}

// errors returns a channel of failures to watch, which may be nil.
func (w *watch) errors() <-chan error {
	if w.watcher == nil {
		return nil
	}
	return w.watcher.Errors
}

func (w *watch) close() {
	if w.watcher != nil {
		_ = w.watcher.Close()
		w.watcher = nil
	}
}
