package probers

import (
	"io"
	"net/http"
	"strconv"

	"golang.org/x/time/rate"
)

// Transfers are answered with at most MaxTransfer bytes each, and at most at
// this rate: 1.6 MB/s in each direction for the whole responder.
const (
	transferRate  = 100 // per second
	transferBurst = 100
)

// transfers answers requests that move more than one segment of TCP, in which
// the size of packets shows: POST /echo sends the body back, and GET
// /bytes?n=4096 sends that many bytes.
type transfers struct{ limit *rate.Limiter }

func newTransfers() transfers {
	return transfers{rate.NewLimiter(transferRate, transferBurst)}
}

// serve answers a request for a transfer. It is false for any other request.
func (t transfers) serve(w http.ResponseWriter, r *http.Request) bool {
	if r.URL.Path != TransferPath && r.URL.Path != "/bytes" {
		return false
	}
	if !t.limit.Allow() {
		http.Error(w, "too many transfers", http.StatusTooManyRequests)
		return true
	}
	body, status := t.body(r)
	if status != http.StatusOK {
		http.Error(w, http.StatusText(status), status)
		return true
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	_, _ = w.Write(body)
	return true
}

// body returns what a transfer is answered with.
func (t transfers) body(r *http.Request) ([]byte, int) {
	if r.URL.Path == TransferPath {
		if r.Method != http.MethodPost {
			return nil, http.StatusMethodNotAllowed
		}
		body, err := io.ReadAll(io.LimitReader(r.Body, MaxTransfer+1))
		switch {
		case err != nil:
			return nil, http.StatusBadRequest
		case len(body) > MaxTransfer:
			return nil, http.StatusRequestEntityTooLarge
		}
		return body, http.StatusOK
	}
	if r.Method != http.MethodGet {
		return nil, http.StatusMethodNotAllowed
	}
	n, err := strconv.ParseUint(r.URL.Query().Get("n"), 10, 32)
	if err != nil || n > MaxTransfer {
		return nil, http.StatusBadRequest
	}
	body := make([]byte, n)
	for i := range body {
		body[i] = patternAt(i)
	}
	return body, http.StatusOK
}
