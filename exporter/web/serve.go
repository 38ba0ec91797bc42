package web

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	toolkitweb "github.com/prometheus/exporter-toolkit/web"
)

// stopTime is how long requests may still run when the server stops.
const stopTime = 1500 * time.Millisecond

// Serve answers requests at the addresses of flags, with the TLS and
// authentication of its web config file, until ctx ends. It returns nil within
// 2 s of that; requests that are not done by then are cut off. Any other
// return is an error: an address that is taken, a web config file that is
// wrong.
func Serve(ctx context.Context, log *slog.Logger, flags *toolkitweb.FlagConfig, handler http.Handler) error {
	server := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       5 * time.Minute, // longer than a scrape interval
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug), // of single connections
	}
	served := make(chan error, 1)
	go func() { served <- toolkitweb.ListenAndServe(server, flags, log) }()
	select {
	case err := <-served:
		return fmt.Errorf("web: %w", err)
	case <-ctx.Done():
	}
	// ctx has ended, and what it carried goes on until the stop is done.
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTime)
	defer cancel()
	if err := server.Shutdown(stop); err != nil {
		_ = server.Close() // what is left is cut off
	}
	if err := <-served; err != nil && !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("web: %w", err)
	}
	return nil
}
