package main

import (
	"net/netip"
	"time"

	"github.com/podnet-exporter/podnet_exporter/exporter/config"
	"github.com/podnet-exporter/podnet_exporter/exporter/metrics"
	"github.com/podnet-exporter/podnet_exporter/exporter/schedule"
	"github.com/podnet-exporter/podnet_exporter/probers"
)

const (
	// maxPathMTU is the largest packet that is tried: a jumbo frame's.
	maxPathMTU = 9216

	// transferTimeout leaves TCP the time to send a segment again three times.
	transferTimeout = 2 * time.Second

	// transferTries is how many transfers in a row must stall: on a path that
	// loses packets of every size, one does now and then.
	transferTries = 2
)

// mtuCourse searches the path MTU to one address, again and again, and after
// each search sends the responder there several segments over TCP: what is
// wrong with a NIC's offloads, a tunnel's checksums or the MSS shows in nothing
// else, and so does a path MTU where echo requests are filtered. It belongs to
// the loop's goroutine.
type mtuCourse struct {
	to      netip.AddrPort // port 0: no transfers
	timeout time.Duration  // of a probe
	pace    time.Duration  // from one turn to the next
	every   int            // turns from one search to the next
	series  *metrics.PathMTU
	vantage *vantage
	board   *board
	peer    peerKey

	search *probers.PMTU
	turn   int // since the search began
	last   int // what the search before found, 0 if nothing

	vanished bool // large packets, as was last said

	transfers int  // still to be sent after this search, if they stall
	waiting   bool // for the end of one
	quiet     int  // turns since a probe was sent or ended
}

// The tags of a course's probes.
const (
	searchTag = iota
	transferTag
)

func newMTUCourse(k courseKey, cfg config.PMTUProbe, series *metrics.PathMTU, v *vantage, b *board) *mtuCourse {
	return &mtuCourse{
		to: k.addr, timeout: cfg.Timeout, pace: mtuTurn(cfg), every: max(int(cfg.Interval/mtuTurn(cfg)), 1),
		series: series, vantage: v, board: b, peer: k.peer,
	}
}

// mtuTurn is the time from one turn of a search to the next: a probe that is lost
// has just ended by then, so that the next one is sent in the next turn and not
// in the one after.
func mtuTurn(cfg config.PMTUProbe) time.Duration { return cfg.Timeout + cfg.Timeout/4 }

// transferPort is where the peers' responders take transfers, 0 if TCP is not
// probed.
func (a *agent) transferPort() uint16 {
	if !a.cfg.Probes.TCP.Enabled {
		return 0
	}
	return a.cfg.Probes.TCP.Port
}

// Turn implements [schedule.Course].
func (c *mtuCourse) Turn(e schedule.Engine) []probers.Probe {
	if c.quiet++; c.turn >= c.every && c.ended() || c.abandoned() {
		c.turn = 0
	}
	if c.turn == 0 {
		c.begin(e)
	}
	c.turn++
	switch {
	case c.search == nil || c.waiting:
		return nil
	case c.search.Ended() && c.transfers > 0:
		c.transfers, c.waiting, c.quiet = c.transfers-1, true, 0
		return []probers.Probe{{Tag: transferTag, Kind: probers.TCPTransfer, To: c.to, Timeout: transferTimeout}}
	}
	p, ok := c.search.Next()
	if !ok {
		return nil
	}
	c.quiet = 0
	return []probers.Probe{p}
}

// abandoned reports whether the end of a probe will never come: its engine has
// gone with its namespace, and the course goes on with another.
func (c *mtuCourse) abandoned() bool {
	return !c.ended() && time.Duration(c.quiet)*c.pace > 2*transferTimeout+2*c.timeout
}

// ended reports whether there is nothing more to be done until the next search.
func (c *mtuCourse) ended() bool {
	return c.search == nil || c.search.Ended() && c.transfers == 0 && !c.waiting
}

// begin begins a search. Where there is no route there is nothing to search:
// other probes say so.
func (c *mtuCourse) begin(e schedule.Engine) {
	upper, err := e.RouteMTU(c.to.Addr())
	if err != nil {
		c.search = nil
		return
	}
	// The loopback device's 64 KiB is more than any path between nodes.
	upper = min(upper, maxPathMTU)
	c.search = probers.NewPMTU(probers.PMTUOptions{Tag: searchTag, To: c.to, Timeout: c.timeout, Upper: upper, Last: c.last})
	c.transfers, c.waiting, c.quiet = 0, false, 0
	if c.to.Port() != 0 {
		c.transfers = transferTries
	}
}

// Calm implements [schedule.Sink], as that of a pathCourse.
func (c *mtuCourse) Calm(time.Time) bool { return true }

// Sent implements [schedule.Sink].
func (c *mtuCourse) Sent(now time.Time, delay time.Duration) { c.vantage.sent(now, delay) }

// Result implements [schedule.Sink].
func (c *mtuCourse) Result(res probers.Result) {
	c.quiet = 0
	if res.Tag == transferTag {
		c.transferred(res)
		return
	}
	if c.search == nil || c.search.Ended() {
		return
	}
	c.search.Add(res)
	switch r := c.search.Report(); {
	case c.search.Ended():
		c.last = r.MTU
		c.series.Report(r)
		c.noteSearch(r.State == probers.PMTUBlackHole)
	case c.search.Vanishing():
		// To find from which size on takes up to half a minute more.
		if !c.vanished {
			c.series.Vanishing()
		}
		c.noteSearch(true)
	}
}

func (c *mtuCourse) noteSearch(lost bool) {
	c.vanished = lost
	c.board.noteLarge(c.peer, largeProbe{c.vantage.name, probers.ICMP}, lost, time.Now().Add(c.keep()))
}

// transferred takes the end of a transfer. One that had no connection, or that
// nobody answered as a responder does, says nothing about large packets: other
// probes say what it is.
func (c *mtuCourse) transferred(res probers.Result) {
	c.waiting = false
	switch {
	case res.Reason == probers.Impaired:
	case stalled(res):
		if c.transfers > 0 {
			return
		}
		c.noteTransfer(true)
	case res.Reason == probers.OK:
		c.noteTransfer(false)
	default:
		c.series.ForgetTransfer()
	}
	c.transfers = 0
}

func (c *mtuCourse) noteTransfer(lost bool) {
	c.series.Transfer(!lost)
	c.board.noteLarge(c.peer, largeProbe{c.vantage.name, probers.TCPTransfer}, lost, time.Now().Add(c.keep()))
}

// stalled reports whether a transfer was connected, and then large segments
// of it did not get through.
func stalled(res probers.Result) bool {
	return res.Reason == probers.Timeout && res.Transfer != nil && res.Transfer.Stalled() != 0
}

// keep is how long what was found is valid: for two further rounds that both
// take as long as they can.
func (c *mtuCourse) keep() time.Duration {
	return 3*time.Duration(c.every)*c.pace + 2*transferTries*transferTimeout
}

func (c *mtuCourse) forget() { c.series.Forget() }
