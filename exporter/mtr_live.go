package main

import (
	"bufio"
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/podnet-exporter/podnet_exporter/probers"
)

// What the display writes to the terminal (ECMA-48, xterm).
const (
	screenOpen  = "\x1b[?1049h\x1b[?25l" // the other screen, without a cursor
	screenClose = "\x1b[?25h\x1b[?1049l"
	screenHome  = "\x1b[H"
	clearLine   = "\x1b[K\r\n"
	clearRest   = "\x1b[J"
	bold        = "\x1b[1m"
	plain       = "\x1b[0m"
)

// liveLabel is a line of a label stack on the terminal.
const liveLabel = "    [MPLS: Lbl %d TC %d S %d TTL %d]"

// mtrLiveView redraws a table on a terminal.
type mtrLiveView struct {
	run      *mtrRun
	out      *bufio.Writer
	screen   func() (width, height int)
	now      func() time.Time
	typed    <-chan byte
	restore  func()
	lastDraw time.Time
}

// openMtrLive takes over the terminal that is stdin and stdout.
func openMtrLive(run *mtrRun, out *bufio.Writer, engine mtrEngine) (*mtrLiveView, error) {
	restore, err := keysAtOnce(os.Stdin)
	if err != nil {
		return nil, err
	}
	v := &mtrLiveView{
		run: run, out: out, now: time.Now, restore: restore,
		screen: func() (int, int) { return terminalSize(os.Stdout) },
		typed:  readKeys(os.Stdin, engine.Wake),
	}
	fmt.Fprint(out, screenOpen)
	return v, nil
}

func (v *mtrLiveView) sent(probers.Probe)      {}
func (v *mtrLiveView) answered(probers.Result) {}
func (v *mtrLiveView) keys() <-chan byte       { return v.typed }

// end gives the terminal back, and leaves the last table on it.
func (v *mtrLiveView) end() {
	fmt.Fprint(v.out, screenClose)
	v.restore()
	writeMtrReport(v.out, v.run)
}

// redraw draws at most 20 times per second.
func (v *mtrLiveView) redraw(report func() probers.PathReport) {
	now := v.now()
	if now.Sub(v.lastDraw) < 50*time.Millisecond {
		return
	}
	v.lastDraw = now
	width, height := v.screen()
	v.run.report = report()
	lines := v.lines(width, now)
	if len(lines) > height {
		lines = lines[:height]
	}
	fmt.Fprint(v.out, screenHome, strings.Join(lines, clearLine), "\x1b[K", clearRest)
	_ = v.out.Flush() // nobody sees a terminal that is gone
}

// lines is what is on the screen.
func (v *mtrLiveView) lines(width int, now time.Time) []string {
	o, run := v.run.options, v.run
	fields := mtrFields(o.LossDecimals).chosen(o.Fields)
	table := 0
	for _, f := range fields {
		table += f.width
	}
	names := max(width-table-4, 16)
	title := "podnet_exporter mtr"
	clock := isoTime(now)
	from := fmt.Sprintf("%s -> %s (%s)", run.source, run.host, run.to)
	lines := []string{
		strings.Repeat(" ", max(0, (width-len(title))/2)) + bold + title + plain,
		from + strings.Repeat(" ", max(1, width-len(from)-len(clock))) + clock,
		"Keys:  " + bold + "q" + plain + "uit   " + bold + "r" + plain + "eset   " + bold + "p" + plain + "ause (space resumes)",
		bold + columns(fmt.Sprintf("    %-*s", names, "Host"), names+4, fields, mtrField.head) + plain,
	}
	for _, h := range run.report.Hops {
		lines = append(lines, v.row(h, names, fields))
		lines = append(lines, o.labels(liveLabel, latest(h))...)
		for _, a := range others(h) {
			lines = append(lines, "    "+cut(run.label(a.Addr), names))
			lines = append(lines, o.labels(liveLabel, a)...)
		}
	}
	lines = append(lines, "")
	for _, l := range explainMtr(run) {
		lines = append(lines, cut(l, width))
	}
	return lines
}

// row is the line of a hop.
func (v *mtrLiveView) row(h probers.HopReport, names int, fields []mtrField) string {
	if !h.Addr.IsValid() {
		return fmt.Sprintf("%2d. %s(waiting for reply)%s", h.TTL, bold, plain)
	}
	line := fmt.Sprintf("%2d. %-*s", h.TTL, names, cut(v.run.label(h.Addr), names))
	return columns(line, len(line), fields, func(f mtrField) string { return f.text(h) })
}

func cut(s string, width int) string { return s[:min(len(s), width)] }

// isTerminal is whether a file is one.
func isTerminal(w any) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}

// terminalSize returns the size of a terminal in characters, 80 by 24 if it
// does not say.
func terminalSize(f *os.File) (width, height int) {
	size, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ)
	if err != nil || size.Col == 0 || size.Row == 0 {
		return 80, 24
	}
	return int(size.Col), int(size.Row)
}

// keysAtOnce makes a terminal deliver each key when it is typed, and not show
// it. It returns what undoes that. What is no terminal stays as it is.
func keysAtOnce(f *os.File) (restore func(), err error) {
	before, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	if err != nil {
		return func() {}, nil
	}
	raw := *before
	raw.Lflag &^= unix.ICANON | unix.ECHO
	raw.Cc[unix.VMIN], raw.Cc[unix.VTIME] = 1, 0
	if err := unix.IoctlSetTermios(int(f.Fd()), unix.TCSETS, &raw); err != nil {
		return nil, fmt.Errorf("terminal: %w", err)
	}
	return func() { _ = unix.IoctlSetTermios(int(f.Fd()), unix.TCSETS, before) }, nil
}
