package probers

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"slices"
	"sync"
	"time"
)

const (
	// talkLimit is how many connections may be open that have sent something.
	talkLimit = 256

	// talkTime is how long a connection may take to say what it wants, and to
	// read the answer.
	talkTime = 5 * time.Second
)

// talk answers connections that have sent something: HTTP requests with JSON,
// everything else with one line of text.
type talk struct {
	r        *Responder
	line     string
	slots    chan struct{}
	requests chan net.Conn // to the HTTP server
	server   *http.Server
	transfers

	mu      sync.Mutex
	stopped bool
	open    map[*talkConn]struct{}
	running sync.WaitGroup
	done    chan struct{}
}

func newTalk(r *Responder) *talk {
	t := &talk{
		r:        r,
		line:     string(r.gate.line),
		slots:    make(chan struct{}, talkLimit),
		requests: make(chan net.Conn),
		open:     map[*talkConn]struct{}{},
		done:     make(chan struct{}),

		transfers: newTransfers(),
	}
	t.server = &http.Server{
		Handler:           t,
		ReadHeaderTimeout: talkTime,
		ReadTimeout:       talkTime,
		WriteTimeout:      talkTime,
		IdleTimeout:       talkTime,
		MaxHeaderBytes:    8 << 10,
		ErrorLog:          log.New(io.Discard, "", 0), // a prober does not log
	}
	return t
}

// identityLine is what a person reads who connects by hand.
func identityLine(o ResponderOptions) string {
	line := "podnet_exporter node=" + o.Node
	if o.Pod != "" {
		line += " pod=" + o.Namespace + "/" + o.Pod
	}
	return line + "\n"
}

// start answers a connection in a goroutine of its own. It takes over fd.
func (t *talk) start(fd int) {
	select {
	case t.slots <- struct{}{}:
	default:
		t.r.counters.overloaded.Add(1)
		closeFD(fd)
		return
	}
	c, err := netConn(fd)
	if err != nil {
		<-t.slots
		return
	}
	conn := &talkConn{Conn: c, in: bufio.NewReaderSize(c, 1024), t: t}
	if !t.track(conn) {
		_ = conn.Close()
		return
	}
	go func() {
		defer t.running.Done()
		t.answer(conn)
	}()
}

// track remembers an open connection so that stop can close it.
func (t *talk) track(c *talkConn) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.stopped {
		return false
	}
	t.open[c] = struct{}{}
	t.running.Add(1)
	return true
}

// stop closes every connection and waits until nobody answers any more.
func (t *talk) stop() {
	t.mu.Lock()
	t.stopped = true
	for c := range t.open {
		_ = c.Conn.Close() // its own Close wants the lock, and is called by its user
	}
	t.mu.Unlock()
	close(t.done)
	_ = t.server.Close()
	t.running.Wait()
}

// answer finds out what the peer speaks.
func (t *talk) answer(c *talkConn) {
	_ = c.SetDeadline(time.Now().Add(talkTime))
	if c.speaksHTTP() {
		_ = c.SetDeadline(time.Time{}) // the server sets its own
		select {
		case t.requests <- c:
		case <-t.done:
			_ = c.Close()
		}
		return
	}
	defer func() { _ = c.Close() }()
	if _, err := c.in.ReadSlice('\n'); err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, bufio.ErrBufferFull) {
		return // reset, or took too long
	}
	t.r.counters.texts.Add(1)
	if _, err := io.WriteString(c, t.line); err != nil {
		return
	}
	// Closing with something unread would reset the connection, and the peer
	// might lose the answer.
	if tcp, ok := c.Conn.(*net.TCPConn); ok {
		_ = tcp.CloseWrite()
	}
	_, _ = io.CopyN(io.Discard, c, 64<<10)
}

// serveHTTP runs the HTTP server until stop.
func (t *talk) serveHTTP() { _ = t.server.Serve(talkListener{t}) }

// ServeHTTP implements [http.Handler].
func (t *talk) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	t.r.counters.http.Add(1)
	if t.serve(w, r) {
		return
	}
	o := t.r.opts
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Podnet-Node", o.Node)
	if o.Pod != "" {
		w.Header().Set("X-Podnet-Pod", o.Namespace+"/"+o.Pod)
	}
	_ = json.NewEncoder(w).Encode(struct {
		Node      string `json:"node"`
		Namespace string `json:"namespace"`
		Pod       string `json:"pod"`
		Version   string `json:"version"`
	}{o.Node, o.Namespace, o.Pod, o.Version})
}

// talkConn is a connection whose first bytes were looked at.
type talkConn struct {
	net.Conn
	in   *bufio.Reader
	t    *talk
	once sync.Once
}

// Read implements [io.Reader].
func (c *talkConn) Read(b []byte) (int, error) { return c.in.Read(b) }

// Close implements [io.Closer].
func (c *talkConn) Close() error {
	err := c.Conn.Close()
	c.once.Do(func() {
		c.t.mu.Lock()
		delete(c.t.open, c)
		c.t.mu.Unlock()
		<-c.t.slots
	})
	if err != nil {
		return fmt.Errorf("responder: %w", err)
	}
	return nil
}

// speaksHTTP reports whether the first word is a method of HTTP (RFC 9110).
func (c *talkConn) speaksHTTP() bool {
	methods := []string{"GET ", "HEAD ", "POST ", "PUT ", "DELETE ", "OPTIONS ", "PATCH ", "TRACE ", "CONNECT "}
	for n := 1; ; n++ {
		word, err := c.in.Peek(n)
		if err != nil {
			return false
		}
		methods = slices.DeleteFunc(methods, func(m string) bool { return len(m) < n || m[:n] != string(word) })
		if len(methods) == 0 {
			return false
		}
		if word[n-1] == ' ' {
			return true
		}
	}
}

// talkListener hands connections to the HTTP server.
type talkListener struct{ t *talk }

// Accept implements [net.Listener].
func (l talkListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.t.requests:
		return c, nil
	case <-l.t.done:
		return nil, net.ErrClosed
	}
}

// Close implements [net.Listener].
func (l talkListener) Close() error { return nil }

// Addr implements [net.Listener].
func (l talkListener) Addr() net.Addr { return net.TCPAddrFromAddrPort(l.t.r.Addr()) }

// netConn makes a connection of the net package of a file descriptor, which it
// takes over.
func netConn(fd int) (net.Conn, error) {
	f := os.NewFile(uintptr(fd), "tcp")
	defer f.Close()
	return net.FileConn(f) // a duplicate
}
