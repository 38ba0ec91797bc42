package discovery

import (
	"bytes"
	"errors"
	"io"
	"net"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"github.com/podnet-exporter/podnet_exporter/exporter/moment"
)

// fakeSocket is a socket whose poller is a channel, so that it can be used where
// time is not real.
type fakeSocket struct {
	net.Conn
	ours, theirs int
	readable     chan struct{} // holds one
}

func newFakeSocket(t *testing.T) *fakeSocket {
	t.Helper()
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(pair[0]); unix.Close(pair[1]) })
	return &fakeSocket{ours: pair[0], theirs: pair[1], readable: make(chan struct{}, 1)}
}

func (s *fakeSocket) Read(f func(fd uintptr) bool) error {
	for !f(uintptr(s.ours)) {
		<-s.readable
	}
	return nil
}

func (s *fakeSocket) Control(f func(fd uintptr)) error         { f(uintptr(s.ours)); return nil }
func (s *fakeSocket) Write(func(fd uintptr) (done bool)) error { return nil }

// send makes data arrive.
func (s *fakeSocket) send(t *testing.T, size int) {
	t.Helper()
	if n, err := unix.Write(s.theirs, make([]byte, size)); err != nil || n != size {
		t.Fatalf("write %d bytes: %d, %v", size, n, err)
	}
	select {
	case s.readable <- struct{}{}:
	default:
	}
}

// lowWater returns how many bytes have to be there until the poller is told.
func (s *fakeSocket) lowWater(t *testing.T) int {
	t.Helper()
	mark, err := unix.GetsockoptInt(s.ours, unix.SOL_SOCKET, unix.SO_RCVLOWAT)
	if err != nil {
		t.Fatal(err)
	}
	return mark
}

// reading reads from a paced connection all the while, and counts.
func reading(s *fakeSocket, prompt time.Duration) (c *pacedConn, bytes *atomic.Int64) {
	c = &pacedConn{raw: s, fresh: time.Now().Add(prompt), clock: moment.NewClock(), closed: make(chan struct{})}
	bytes = &atomic.Int64{}
	go func() {
		b := make([]byte, 4096)
		for {
			n, err := c.Read(b)
			if err != nil {
				return
			}
			bytes.Add(int64(n))
		}
	}()
	return c, bytes
}

func TestPacedConnReadsAtMomentsWhatKeepsComing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newFakeSocket(t)
		c, read := reading(s, 0)
		s.send(t, 1000)
		synctest.Wait()
		if got := read.Load(); got != 1000 {
			t.Errorf("%d bytes were read; want the first 1000 at once", got)
		}
		for turn := int64(1); turn <= 3; turn++ {
			s.send(t, 1000)
			time.Sleep(c.clock.Until(pacedAt) - time.Millisecond)
			s.send(t, 1000)
			synctest.Wait()
			if got := read.Load(); got != 2000*turn-1000 {
				t.Errorf("%d bytes were read before moment %d; want %d", got, turn, 2000*turn-1000)
			}
			if mark := s.lowWater(t); mark != wakeAbove {
				t.Errorf("the poller is told of %d bytes; want %d", mark, wakeAbove)
			}
			time.Sleep(time.Millisecond)
			synctest.Wait()
			if got, want := read.Load(), 2000*turn+1000; got != want {
				t.Errorf("%d bytes were read at moment %d; want all that were there, %d", got, turn, want)
			}
		}
		close(c.closed)
		synctest.Wait()
	})
}

func TestPacedConnReadsAtOnceAfterAQuietTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newFakeSocket(t)
		c, read := reading(s, 0)
		for sent := int64(1); sent <= 3; sent++ {
			s.send(t, 1000)
			synctest.Wait()
			if got := read.Load(); got != 1000*sent {
				t.Errorf("%d bytes were read; want %d without waiting", got, 1000*sent)
			}
			time.Sleep(2 * pacedAt) // nothing comes from one moment to the next
			synctest.Wait()
			if mark := s.lowWater(t); mark != 1 {
				t.Errorf("the poller is told of %d bytes; want any", mark)
			}
		}
		s.send(t, 1) // it finds out that it is closed when it rests next
		close(c.closed)
		synctest.Wait()
	})
}

func TestPacedConnReadsAtOnceAsLongAsItIsNew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newFakeSocket(t)
		c, read := reading(s, time.Minute)
		for sent := int64(1); sent <= 3; sent++ {
			s.send(t, 1000)
			synctest.Wait()
			if got := read.Load(); got != 1000*sent {
				t.Errorf("%d bytes were read; want %d without waiting", got, 1000*sent)
			}
		}
		close(c.closed)
		time.Sleep(time.Minute)
		s.send(t, 1) // it finds out that it is closed when it rests next
		synctest.Wait()
	})
}

func TestPacedConnReadsAListSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newFakeSocket(t)
		s.send(t, promptAbove+1)
		start := time.Now()
		c, read := reading(s, 0)
		synctest.Wait()
		for want := int64(promptAbove + 1); want < 10*promptAbove; {
			s.send(t, promptAbove+1)
			want += promptAbove + 1
			for read.Load() < want {
				time.Sleep(time.Millisecond)
				synctest.Wait()
			}
		}
		if took := time.Since(start); took > 10*soon {
			t.Errorf("read %d bytes within %v; want no more than %v", read.Load(), took, 10*soon)
		}
		s.send(t, 1) // which is no list
		for want := read.Load() + 1; read.Load() < want; {
			time.Sleep(time.Millisecond)
			synctest.Wait()
		}
		s.send(t, 1)
		before := read.Load()
		time.Sleep(c.clock.Until(pacedAt) - time.Millisecond)
		synctest.Wait()
		if got := read.Load(); got != before {
			t.Error("after the list, a change was read before the next moment")
		}
		close(c.closed)
		synctest.Wait()
	})
}

func TestPacedConnIsAConnection(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	want := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
	go func() {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		_, _ = conn.Write(want)
		_ = conn.Close()
	}()
	conn, err := dialPaced(t.Context(), "tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(conn)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("read %d bytes, %v; want the %d that were sent", len(got), err, len(want))
	}
	for range 2 {
		conn.Close()
	}
	if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Read() after Close = %v; want that it is closed", err)
	}
}

func TestPacedConnIsClosedWhileItRests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newFakeSocket(t)
		c := &pacedConn{raw: s, paced: true, clock: moment.NewClock(), closed: make(chan struct{})}
		read := make(chan error, 1)
		go func() {
			_, err := c.Read(make([]byte, 1))
			read <- err
		}()
		synctest.Wait()
		close(c.closed)
		if err := <-read; !errors.Is(err, net.ErrClosed) {
			t.Errorf("Read() = %v; want that the connection is closed", err)
		}
	})
}
