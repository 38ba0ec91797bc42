package netns

import (
	"fmt"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// BenchmarkScan measures a scan of the real /proc that has that many processes
// more than the machine has anyway: "known" of processes that were seen before,
// which is what an agent does every second, and "first" of ones that were not.
func BenchmarkScan(b *testing.B) {
	for _, n := range []int{1000, 5000} {
		b.Run(fmt.Sprintf("processes=%d", n), func(b *testing.B) {
			sleepers(b, n)
			b.Run("known", func(b *testing.B) {
				now := time.Unix(1000, 0)
				s := newScanner(procRoot)
				for range 2 {
					now = scanAt(b, s, now)
				}
				now = scanAt(b, s, now.Add(24*time.Hour)) // nothing is due for a day
				measured(b, func() { scanAt(b, s, now) })
			})
			b.Run("first", func(b *testing.B) {
				measured(b, func() { scanAt(b, newScanner(procRoot), time.Unix(1000, 0)) })
			})
		})
	}
}

func scanAt(b *testing.B, s *scanner, now time.Time) time.Time {
	b.Helper()
	if _, err := s.scan(now); err != nil {
		b.Fatal(err)
	}
	return now
}

// measured runs f and reports the CPU time that it took.
func measured(b *testing.B, f func()) {
	b.ReportAllocs()
	before := cpuTime(b)
	for b.Loop() {
		f()
	}
	b.ReportMetric(float64(cpuTime(b)-before)/float64(b.N), "cpu-ns/op")
}

// cpuTime returns how much CPU time this process has used.
func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// sleepers starts n processes that do nothing, and ends them with the
// benchmark.
func sleepers(b *testing.B, n int) {
	b.Helper()
	const script = `i=0; while [ $i -lt "$1" ]; do sleep 1000000 & i=$((i+1)); done; echo; wait`
	shell := exec.Command("sh", "-c", script, "sh", fmt.Sprint(n))
	shell.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	started, err := shell.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := shell.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		unix.Kill(-shell.Process.Pid, unix.SIGKILL)
		shell.Wait()
	})
	if _, err := started.Read(make([]byte, 1)); err != nil {
		b.Fatal(err)
	}
}
