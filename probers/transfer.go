package probers

import (
	"bytes"
	"fmt"
	"net/netip"
	"strconv"
	"time"
)

const (
	// MaxTransfer is the largest body of a transfer in bytes. Responders send
	// no more.
	MaxTransfer = 16 << 10

	// minTransfer is the smallest, if the probe does not say another.
	minTransfer = 4096

	maxTransferHeader = 2048 // bytes of the answer's HTTP header
)

// TransferPath is where a responder sends back what it gets by POST.
const TransferPath = "/echo"

// Transfer is what a Result says about a TCP transfer beside its reason.
type Transfer struct {
	Established bool          // the handshake succeeded
	Size        int           // bytes of the body, each way
	Request     int           // bytes of the whole request
	Acked       int           // of those, acknowledged by the target's kernel
	Received    int           // bytes of the body that came back
	MSS         int           // largest segment to the target, in bytes without headers
	ReceiveMSS  int           // largest segment that came from it
	PathMTU     int           // what this node's kernel thinks of the path, in bytes
	Retransmits int           // segments that were sent again
	Took        time.Duration // from the handshake to the last byte, or to the time-out
}

// Stalled says in which direction large segments of a connection that was
// established did not get through: the request is not acknowledged, or it is
// and the answer does not come. It is none for a transfer that is complete or
// had no connection.
func (t Transfer) Stalled() Ways {
	switch {
	case !t.Established || t.Received >= t.Size:
		return 0
	case t.Acked < t.Request:
		return Forward
	}
	return Reverse
}

// transfer is one that is under way.
type transfer struct {
	Transfer
	wanted  int    // size that the probe asks for, 0: as the MSS needs
	begun   int64  // when the connection was established, monotonic ns
	request []byte // what is still to be written
	body    []byte // what is to come back: the end of the whole request
	answer  []byte // what came
}

// begin decides how large the transfer is, once the MSS is known: more than
// two segments, so that whole ones go both ways.
func (t *transfer) begin(to netip.AddrPort, number uint64) {
	t.Established = true
	t.Size = t.wanted
	if t.Size == 0 {
		t.Size = max(minTransfer, 2*t.MSS+1)
	}
	t.Size = min(max(t.Size, 1), MaxTransfer)
	const headerSize = 256 // at most
	t.request = fmt.Appendf(make([]byte, 0, headerSize+t.Size), "POST %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: podnet_exporter\r\nConnection: close\r\n"+
		"Content-Type: application/octet-stream\r\nContent-Length: %d\r\n\r\n", TransferPath, to, t.Size)
	header := len(t.request)
	for i := range t.Size {
		t.request = append(t.request, patternAt(i+int(uint8(number))))
	}
	t.body = t.request[header:]
	t.Request = len(t.request)
}

// limit is how many bytes of an answer are read.
func (t *transfer) limit() int { return maxTransferHeader + t.Size }

// judge looks at the answer so far. It is false if more is to come.
func (t *transfer) judge(ended bool) (reason Reason, whole bool) {
	status, body, ok := parseHTTPAnswer(t.answer)
	if !ok {
		return BadReply, ended || len(t.answer) > maxTransferHeader
	}
	t.Received = min(len(body), t.Size)
	switch {
	case status != 200:
		return HTTPStatus, true
	case !bytes.HasPrefix(t.body, body):
		return BadReply, true
	}
	return OK, len(body) == t.Size
}

// parseHTTPAnswer splits an HTTP/1.x response (RFC 9112) that has come in part. It
// is false as long as the header is not whole, and if it is none.
func parseHTTPAnswer(b []byte) (status int, body []byte, ok bool) {
	const version = len("HTTP/1.1 ")
	header, body, whole := bytes.Cut(b, []byte("\r\n\r\n"))
	if !whole || !bytes.HasPrefix(header, []byte("HTTP/1.")) || len(header) < version+3 {
		return 0, nil, false
	}
	status, err := strconv.Atoi(string(header[version : version+3]))
	if err != nil || status < 100 {
		return 0, nil, false
	}
	return status, body, true
}
