package main

import (
	"io"
	"net"
	"sync"
	"sync/atomic"
)

// proxy carries connections to the API server, and counts their bytes.
type proxy struct {
	l        net.Listener
	down, up atomic.Int64 // to the agent, and from it
	conns    atomic.Int64
}

// listen begins.
func (p *proxy) listen() (err error) {
	if p.l, err = net.Listen("tcp", proxyAddr); err != nil {
		return err
	}
	go p.run()
	return nil
}

func (p *proxy) run() {
	for {
		near, err := p.l.Accept()
		if err != nil {
			return
		}
		p.conns.Add(1)
		go p.carry(near)
	}
}

func (p *proxy) carry(near net.Conn) {
	defer near.Close()
	far, err := net.Dial("tcp", apiAddr)
	if err != nil {
		return
	}
	defer far.Close()
	var both sync.WaitGroup
	both.Go(func() {
		_, _ = io.Copy(counter{near, &p.down}, far)
		near.Close()
	})
	both.Go(func() {
		_, _ = io.Copy(counter{far, &p.up}, near)
		far.Close()
	})
	both.Wait()
}

// counter counts what is written.
type counter struct {
	io.Writer
	n *atomic.Int64
}

func (c counter) Write(b []byte) (int, error) {
	c.n.Add(int64(len(b)))
	return c.Writer.Write(b)
}
