package netspace

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// Get reads a document from inside a namespace, within 5 seconds. A status
// other than 200 is an error that holds the body.
func Get(ctx context.Context, netnsName, address string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	client := http.Client{Transport: &http.Transport{DialContext: Dial(netnsName), DisableKeepAlives: true}}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, 64<<20))
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s: %.300s", address, resp.Status, b)
	}
	return b, nil
}

// Dial returns a dialler whose sockets live inside the named namespace. The
// address must be a number: names would be looked up outside.
func Dial(netnsName string) func(ctx context.Context, network, address string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		var conn net.Conn
		err := In(netnsName, func() error {
			// A negative delay keeps the dial on this thread: happy
			// eyeballs would start goroutines outside the namespace.
			d := net.Dialer{FallbackDelay: -1}
			var err error
			conn, err = d.DialContext(ctx, network, address)
			return err
		})
		return conn, err
	}
}
