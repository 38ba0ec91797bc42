package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"
	"time"

	"github.com/alecthomas/kingpin/v2"
	"golang.org/x/sys/unix"

	"github.com/podnet-exporter/podnet_exporter/deploy/internal/netspace"
)

// loadCommandName is the command that loads a path. It is run by the lab and
// hidden from its help.
const loadCommandName = "load"

// loadPort is the TCP port that the load is sent to.
const loadPort = 5201

// loadCommand adds the command that sends from one namespace to another, over
// one TCP connection, as fast as the path takes it. What is under way is never
// more than the window, so that it fills a queue to a known length.
func loadCommand(app *kingpin.Application, commands map[string]func(context.Context) error) {
	cmd := app.Command(loadCommandName, "Send over TCP as fast as the path takes it, until ended.").Hidden()
	from := cmd.Flag("from", "Network namespace that sends.").Required().String()
	to := cmd.Flag("to", "Network namespace that receives.").Required().String()
	address := cmd.Flag("address", "Address and port that it receives on.").Required().String()
	window := cmd.Flag("window", "Bytes under way at most.").Required().Int()
	commands[cmd.FullCommand()] = func(ctx context.Context) error {
		var sink net.Listener
		err := netspace.In(*to, func() error {
			var err error
			sink, err = listenWindow(ctx, *address, *window)
			return err
		})
		if err != nil {
			return fmt.Errorf("load: %w", err)
		}
		stop := context.AfterFunc(ctx, func() { sink.Close() })
		defer stop()
		go receive(sink)
		for ctx.Err() == nil {
			// Whatever ends a connection, the next one may live.
			_ = send(ctx, *from, *address)
			_ = wait(ctx, time.Second)
		}
		return nil
	}
}

// listenWindow listens inside the calling thread's namespace, and offers every
// sender a receive window of at most so many bytes.
func listenWindow(ctx context.Context, address string, window int) (net.Listener, error) {
	config := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		var err error
		return errors.Join(c.Control(func(fd uintptr) {
			err = errors.Join(
				// A size of its own keeps the kernel from tuning the window.
				unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 4*window),
				unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_WINDOW_CLAMP, window))
		}), err)
	}}
	return config.Listen(ctx, "tcp", address)
}

// receive reads and forgets what every connection brings, until the listener
// is closed.
func receive(sink net.Listener) {
	for {
		c, err := sink.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			_, _ = io.Copy(io.Discard, c) // ends with the connection
		}()
	}
}

// send sends zeros over one connection until ctx ends or the connection does.
func send(ctx context.Context, from, address string) error {
	c, err := netspace.Dial(from)(ctx, "tcp", address)
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { c.Close() })
	defer stop()
	defer c.Close()
	if err := lossBased(c); err != nil {
		return err
	}
	zeros := make([]byte, 16<<10)
	for {
		if _, err := c.Write(zeros); err != nil {
			return err
		}
	}
}

// lossBased lets a connection send until something is lost. Others, as BBR,
// would keep the queue short that it is there to fill.
func lossBased(c net.Conn) error {
	tcp, ok := c.(*net.TCPConn)
	if !ok {
		return fmt.Errorf("load: %T is no TCP connection", c)
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return fmt.Errorf("load: %w", err)
	}
	controlErr := raw.Control(func(fd uintptr) {
		err = unix.SetsockoptString(int(fd), unix.IPPROTO_TCP, unix.TCP_CONGESTION, "reno")
	})
	return errors.Join(controlErr, err)
}
