//go:build compat

package main

import (
	"bufio"
	"bytes"
	"errors"
	"flag"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var updateGolden = flag.Bool("update", false, "write the golden files anew, from the installed mtr")

// scenarioVariable names the scenario that TestPlayMtrPacket plays.
const scenarioVariable = "PODNET_MTR_SCENARIO"

// TestPlayMtrPacket is mtr-packet, the program that sends mtr's packets, with
// answers from a scenario.
func TestPlayMtrPacket(t *testing.T) {
	if name := os.Getenv(scenarioVariable); name != "" {
		playMtrPacket(readMtrScenario(t, name))
	}
}

// packetProgram returns a program that runs TestPlayMtrPacket.
func packetProgram(t *testing.T) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "mtr-packet")
	script := fmt.Sprintf("#!/bin/sh\nexec %s -test.run='^TestPlayMtrPacket$'\n", self)
	if err := os.WriteFile(file, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	return file
}

// playMtrPacket speaks the protocol of mtr-packet(8).
func playMtrPacket(s *mtrScenario) {
	sent := make(map[int]int)
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		words := strings.Fields(in.Text())
		args := make(map[string]string)
		for i := 2; i+1 < len(words); i += 2 {
			args[words[i]] = words[i+1]
		}
		if words[1] == "check-support" {
			fmt.Printf("%s feature-support support ok\n", words[0])
			continue
		}
		ttl, _ := strconv.Atoi(args["ttl"])
		a := s.answer(ttl, sent[ttl])
		sent[ttl]++
		if a == nil {
			continue
		}
		family := "ip-4"
		if strings.Contains(a.addr, ":") {
			family = "ip-6"
		}
		fmt.Printf("%s %s %s %s round-trip-time %d", words[0], a.what, family, a.addr, a.microseconds)
		if a.mpls != "" {
			fmt.Printf(" mpls %s", a.mpls)
		}
		fmt.Println()
	}
}

// realMtr skips if mtr 0.95 is not installed.
func realMtr(t *testing.T) {
	t.Helper()
	out, err := exec.Command("mtr", "--version").Output()
	if err != nil || strings.TrimSpace(string(out)) != "mtr "+mtrVersion {
		t.Skipf("needs mtr %s: %s %v", mtrVersion, out, err)
	}
}

// TestGoldenFilesAreWhatMtrPrints runs mtr with answers from the scenarios.
func TestGoldenFilesAreWhatMtrPrints(t *testing.T) {
	realMtr(t)
	program := packetProgram(t)
	hostname, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range mtrGoldens() {
		t.Run(g.file, func(t *testing.T) {
			t.Parallel()
			s := readMtrScenario(t, g.scenario)
			cmd := exec.Command("mtr", append([]string{"-i", "0.2", "-G", "0.5"}, g.arguments(s)...)...)
			cmd.Env = append(os.Environ(), "MTR_PACKET="+program, scenarioVariable+"="+g.scenario, "TZ=UTC")
			var stderr bytes.Buffer
			cmd.Stderr = &stderr
			out, err := cmd.Output()
			if err != nil || stderr.Len() > 0 {
				t.Fatalf("mtr: %v\n%s", err, &stderr)
			}
			got, file := normalMtr(string(out), hostname), filepath.Join("testdata/mtr", g.file+".golden")
			if *updateGolden {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("%s (-file +mtr):\n%s", file, diff)
			}
		})
	}
}

// TestPathOnANetworkIsThatOfMtr measures a chain of three routers with both at
// the same time. The first router leaves half of what it has to say unsaid and
// the last loses a fifth; but not with TCP, where mtr takes the kernel's
// second SYN for a late answer to the first, and shows no loss but seconds.
func TestPathOnANetworkIsThatOfMtr(t *testing.T) {
	realMtr(t)
	from := newMtrChain(t)
	tests := []string{"-r", "-C", "-x", "-j", "-j -u", "-j -T"}
	for _, options := range tests {
		if options == "-j -T" {
			from.heal(t)
		}
		for _, target := range []string{"10.91.3.2", "fd91:3::2"} {
			t.Run(options+" "+target, func(t *testing.T) {
				args := append(strings.Fields(options), "-n", "-c", "100", "-i", "0.05", "-G", "1", target)
				for attempt := range 3 { // for the machine may be busy just then
					theirs, ours := from.both(t, options[:2], args)
					different := compareMtr(theirs, ours, options[:2])
					if len(different) == 0 {
						return
					}
					t.Logf("attempt %d: %s\ntheirs %+v\nours   %+v", attempt+1, strings.Join(different, "; "), theirs, ours)
				}
				t.Error("three times different")
			})
		}
	}
}

// compareMtr says what differs: hops, loss by more than chance makes of it,
// best and mean by more than 50 µs and what the format rounds, and the mean
// also by what single slow answers make of it: mtr's times are those at which
// a busy machine lets it run.
func compareMtr(theirs, ours []mtrRow, option string) (different []string) {
	if len(theirs) != len(ours) {
		return []string{fmt.Sprintf("%d and %d hops", len(theirs), len(ours))}
	}
	near := 0.05 + map[string]float64{"-r": 0.1, "-x": 0.1, "-C": 0.01}[option]
	for i, a := range theirs {
		b := ours[i]
		add := func(what string) { different = append(different, fmt.Sprintf("hop %d: %s", a.Hop, what)) }
		if a.Hop != b.Hop || a.Host != b.Host || a.Sent != b.Sent {
			add("another hop")
		}
		p := (a.Loss + b.Loss) / 200
		if math.Abs(a.Loss-b.Loss)/100 > 4*math.Sqrt(2*p*(1-p)/float64(a.Sent))+0.001 {
			add("loss")
		}
		doubt := 3 * math.Hypot(a.Dev, b.Dev) / math.Sqrt(float64(a.Sent)) // of the means
		if math.Abs(a.Best-b.Best) > near || math.Abs(a.Mean-b.Mean) > near+doubt {
			add("time")
		}
	}
	return different
}

// mtrChain is a host, three routers and another host in a row, each in a
// network namespace.
type mtrChain struct {
	host, program string
	lossy         []string // the namespaces that lose packets
}

// heal ends all loss.
func (c mtrChain) heal(t *testing.T) {
	t.Helper()
	for _, ns := range c.lossy {
		if out, err := exec.Command("ip", "netns", "exec", ns, "nft", "flush", "ruleset").CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", ns, err, out)
		}
	}
}

func newMtrChain(t *testing.T) mtrChain {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: makes network namespaces")
	}
	command := func(line string) {
		t.Helper()
		if out, err := exec.Command("sh", "-c", line).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", line, err, out)
		}
	}
	name := func(i int) string { return fmt.Sprintf("pnI-%d-%d", os.Getpid(), i) }
	for i := range 5 {
		command("ip netns add " + name(i))
		t.Cleanup(func() { command("ip netns del " + name(i)) })
		command("ip -n " + name(i) + " link set lo up")
		for _, setting := range []string{"ipv4/ip_forward=1", "ipv6/conf/all/forwarding=1", "ipv4/icmp_ratelimit=0", "ipv4/icmp_ratemask=0", "ipv6/icmp/ratelimit=0"} {
			file, value, _ := strings.Cut(setting, "=")
			command(fmt.Sprintf("ip netns exec %s sh -c 'echo %s > /proc/sys/net/%s'", name(i), value, file))
		}
	}
	for i := range 4 {
		command(fmt.Sprintf("ip -n %s link add right type veth peer name left netns %s", name(i), name(i+1)))
		for n, end := range []string{name(i) + " right", name(i+1) + " left"} {
			ns, link, _ := strings.Cut(end, " ")
			command(fmt.Sprintf("ip -n %s addr add 10.91.%d.%d/24 dev %s", ns, i, n+1, link))
			command(fmt.Sprintf("ip -n %s addr add fd91:%d::%d/64 dev %s nodad", ns, i, n+1, link))
			command(fmt.Sprintf("ip -n %s link set %s up", ns, link))
		}
	}
	for i := range 5 {
		if i < 4 {
			command(fmt.Sprintf("ip -n %s route add default via 10.91.%d.2", name(i), i))
			command(fmt.Sprintf("ip -n %s -6 route add default via fd91:%d::2", name(i), i))
		}
		for k := range i - 1 {
			command(fmt.Sprintf("ip -n %s route add 10.91.%d.0/24 via 10.91.%d.1", name(i), k, i-1))
			command(fmt.Sprintf("ip -n %s -6 route add fd91:%d::/64 via fd91:%d::1", name(i), k, i-1))
		}
	}
	for ns, rules := range map[string][]string{
		name(1): {"add table inet t", "add chain inet t c { type filter hook output priority 0; }",
			"add rule inet t c icmp type time-exceeded numgen random mod 100 < 50 drop",
			"add rule inet t c icmpv6 type time-exceeded numgen random mod 100 < 50 drop"},
		name(3): {"add table inet t", "add chain inet t c { type filter hook forward priority 0; }",
			"add rule inet t c oifname right numgen random mod 100 < 20 drop"},
	} {
		for _, rule := range rules {
			command("ip netns exec " + ns + " nft '" + rule + "'")
		}
	}
	chain := mtrChain{host: name(0), lossy: []string{name(1), name(3)}, program: filepath.Join(t.TempDir(), "podnet_exporter")}
	if out, err := exec.Command("go", "build", "-o", chain.program, ".").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return chain
}

// both runs mtr and ours at the same time.
func (c mtrChain) both(t *testing.T, option string, args []string) (theirs, ours []mtrRow) {
	t.Helper()
	run := func(program ...string) ([]mtrRow, error) {
		out, err := exec.Command("ip", slices.Concat([]string{"netns", "exec", c.host}, program, args)...).Output()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", program, err)
		}
		return parseMtrOutput(option, string(out))
	}
	result := make(chan error)
	go func() {
		var err error
		theirs, err = run("mtr")
		result <- err
	}()
	ours, err := run(c.program, "mtr")
	if err = errors.Join(err, <-result); err != nil {
		t.Fatal(err)
	}
	return theirs, ours
}
