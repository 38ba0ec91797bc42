package probers

import (
	"math"
	"time"

	"golang.org/x/sys/unix"
)

// Poll waits until something happened to a probe, Wake was called, or the
// given time has come, appends all results that are ready to out, and returns
// it; at the next multiple of Batch after that, if there is one. It is to be
// called again soon: the time between two calls counts as time in which the
// engine was kept from working.
func (e *Engine) Poll(until time.Time, out []Result) []Result {
	now := e.now()
	e.late(e.left, now)
	e.pollSockets()
	e.pollUDP()
	limit := int64(until.Sub(e.base))
	for {
		due := min(e.meet(e.due(limit)), e.hasty())
		wait := due - now.mono
		if len(e.ready) > 0 {
			wait = 0
		}
		events := e.wait.wait(time.Duration(wait))
		now = e.now()
		if wait > 0 {
			e.late(due, now)
		}
		e.stats.Polls++
		e.worked = now.mono
		e.handle(events, now)
		e.collect(now)
		if woken := e.wait.wasRung(); woken || len(e.ready) > 0 || now.mono >= limit {
			break
		}
	}
	out = append(out, e.ready...)
	e.ready = e.ready[:0]
	e.left = now.mono
	return out
}

// meet returns the first moment at or after the given one at which the engine
// works, and not one at which it has worked.
func (e *Engine) meet(at int64) int64 {
	batch := int64(e.Batch)
	if batch == 0 {
		return at
	}
	at = max(at, e.worked+1) + e.zero + batch - 1
	return at - at%batch - e.zero
}

// answered returns when the engine is to look for the answers to what was sent
// at a moment: when it works next, also if the send was a little late.
func (e *Engine) answered(sent int64) int64 { return sent + int64(e.Batch)/2 }

// due returns when the engine must work next, whatever happens.
func (e *Engine) due(limit int64) int64 {
	for len(e.deadlines) > 0 {
		if f := e.flights.find(e.deadlines[0].number); f != nil && !f.done {
			limit = min(limit, e.deadlines[0].at)
			break
		}
		e.deadlines.pop()
	}
	if e.drain != 0 {
		limit = min(limit, e.drain)
	}
	if d, ok := e.young.first(); ok {
		limit = min(limit, d.at)
	}
	return limit
}

// hasty returns when the engine must work next though it is no moment: when a
// TCP probe that was not answered at once is to be given up. At the moment after
// that the kernel may have sent its SYN again.
func (e *Engine) hasty() int64 {
	for d, ok := e.silent.first(); ok; d, ok = e.silent.first() {
		if f := e.flights.find(d.number); f != nil && !f.done {
			return max(d.at, e.worked+1)
		}
		e.silent.drop()
	}
	return math.MaxInt64
}

// handle works on events.
func (e *Engine) handle(events []unix.EpollEvent, now moment) {
	for {
		for _, event := range events {
			switch number := eventNumber(event); {
			case number < lastUDPEvent:
				e.settleTCP(number, event.Events&unix.EPOLLERR != 0, now)
			case number <= udpEvent:
				e.udp.await(number)
				e.drain = now.mono // collect reads the sockets
			case number != wakeEvent && number != timerEvent:
				e.drain = now.mono // likewise
			}
		}
		if len(events) < len(e.wait.events) {
			return
		}
		events = e.wait.wait(0)
	}
}

// collect reads the answers that are due, and only then declares time-outs:
// after a stop of the process the answers wait in the sockets.
func (e *Engine) collect(now moment) {
	expired := len(e.deadlines) > 0 && e.deadlines[0].at <= now.mono
	if due := e.drain != 0 && e.drain <= now.mono; due || expired && e.icmp+e.udp.inFlight > 0 {
		e.readUDP(now)
		e.readICMP(now)
		e.readAnswers(now)
	}
	for {
		d, ok := e.young.first()
		if !ok || d.at > now.mono {
			break
		}
		e.young.drop()
		e.lookTCP(d.number, now)
	}
	for len(e.deadlines) > 0 && e.deadlines[0].at <= now.mono {
		f := e.flights.find(e.deadlines[0].number)
		e.deadlines.pop()
		if f != nil && !f.done {
			e.expire(f, now)
		}
	}
	if e.icmp+e.udp.inFlight > 0 && e.drain == 0 && e.Batch > 0 {
		e.drain = e.answered(now.mono) // somebody has not answered yet
	}
	e.traces.tidy(e, now)
}

func (e *Engine) expire(f *flight, now moment) {
	switch f.kind {
	case TCP:
		e.expireTCP(f, now)
	case UDP:
		e.expireUDP(f)
	case TCPTransfer:
		e.expireTransfer(f, now)
	default:
		e.finish(f, Result{Reason: e.noAnswer(f)})
	}
}

// noAnswer is the reason of a probe that got none.
func (e *Engine) noAnswer(f *flight) Reason {
	if e.windows.spoil(f.sent.mono, f.sent.mono+int64(f.timeout)) {
		return Impaired
	}
	return Timeout
}

// late notes that the engine works now and should have at a given time.
func (e *Engine) late(should int64, now moment) {
	delay := now.mono - should
	if delay <= 0 || e.inFlight == 0 {
		return
	}
	e.stats.Delay += time.Duration(delay)
	e.stats.LongestDelay = max(e.stats.LongestDelay, time.Duration(delay))
	if delay > int64(e.Threshold) {
		e.stats.LatePolls++
		e.windows.add(window{should, now.mono, int64(e.Threshold)})
	}
}

// window is a time in which the engine was not able to work.
type window struct {
	from, to int64 // monotonic ns
	least    int64 // ns of it that a probe's life must hold to be spoilt
}

// windows are the last few.
type windows struct {
	all  [16]window
	next int
}

func (w *windows) add(n window) {
	w.all[w.next%len(w.all)] = n
	w.next++
}

// spoil says whether a probe of the given life may have failed because of the
// engine itself.
func (w *windows) spoil(from, to int64) bool {
	for _, n := range w.all {
		if overlap := min(n.to, to) - max(n.from, from); n.to != 0 && overlap > n.least {
			return true
		}
	}
	return false
}

// fifo is a queue of probes, the first due first.
type fifo struct {
	all  []deadline
	head int
}

func (q *fifo) push(d deadline) {
	if q.head > len(q.all)/2 {
		q.all = q.all[:copy(q.all, q.all[q.head:])]
		q.head = 0
	}
	q.all = append(q.all, d)
}

func (q *fifo) first() (deadline, bool) {
	if q.head == len(q.all) {
		return deadline{}, false
	}
	return q.all[q.head], true
}

func (q *fifo) drop() { q.head++ }
