package main

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"testing"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"github.com/vishvananda/netlink"
	vnetns "github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// asProgram makes the test binary behave as the program itself.
const asProgram = "PODNET_EXPORTER_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
	}
	os.Exit(m.Run())
}

// program returns the program, to be run as a child process under a name.
func program(t *testing.T, argv0 string, args ...string) *exec.Cmd {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), path, args...)
	cmd.Args[0] = argv0
	cmd.Env = append(os.Environ(), asProgram+"=1")
	return cmd
}

// ran runs a command to its end.
func ran(t *testing.T, cmd *exec.Cmd) (code int, stdout, stderr string) {
	t.Helper()
	var out, err bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &err
	var exit *exec.ExitError
	if e := cmd.Run(); e != nil && !errors.As(e, &exit) {
		t.Fatal(e)
	}
	return cmd.ProcessState.ExitCode(), steady(out.String()), steady(err.String())
}

// steady replaces what differs from run to run.
func steady(s string) string {
	s = regexp.MustCompile(`time=(\x1b\[01;32m)?\d+\.\d\dms`).ReplaceAllString(s, "time=${1}T")
	s = regexp.MustCompile(`(Minimum|Maximum|Average) = (\x1b\[01;34m)?(\d+\.[1-9]\d|\d+\.\d[1-9]|[1-9]\d*\.\d\d)ms`).ReplaceAllString(s, "$1 = ${2}T")
	s = regexp.MustCompile(`\d+\.\d\d ms`).ReplaceAllString(s, "T ms")
	return regexp.MustCompile(`rtt min .*`).ReplaceAllString(s, "rtt T")
}

// listening returns the port of a listener on loopback.
func listening(t *testing.T, network, address string) int {
	t.Helper()
	l, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l.Addr().(*net.TCPAddr).Port
}

// refusing returns a port that nothing listens on. A bound socket keeps it so.
func refusing(t *testing.T) int {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	name, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	return name.(*unix.SockaddrInet4).Port
}

// The ports of a walled namespace.
const (
	droppedPort    = 9
	prohibitedPort = 10
	openPort       = 11
	closedPort     = 12
)

// walled returns a path to a network namespace with nothing but loopback and a
// firewall: one port is dropped, one is rejected with ICMP, one has a
// listener. It is gone with the test.
func walled(t *testing.T) string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: makes network namespaces")
	}
	made := make(chan error)
	var ns vnetns.NsHandle
	var listener net.Listener
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		made <- func() (err error) {
			if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
				return err
			}
			if ns, err = vnetns.GetFromPath("/proc/thread-self/ns/net"); err != nil {
				return err
			}
			if err := netlink.LinkSetUp(&netlink.Device{LinkAttrs: netlink.LinkAttrs{Name: "lo"}}); err != nil {
				return err
			}
			if err := wall(); err != nil {
				return err
			}
			listener, err = net.Listen("tcp", netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), openPort).String())
			return err
		}()
	}()
	if err := <-made; err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close(); ns.Close() })
	return fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), int(ns))
}

// wall makes the firewall of the calling thread's namespace.
func wall() error {
	c, err := nftables.New()
	if err != nil {
		return err
	}
	table := c.AddTable(&nftables.Table{Name: "wall", Family: nftables.TableFamilyIPv4})
	chain := c.AddChain(&nftables.Chain{
		Name: "input", Table: table, Type: nftables.ChainTypeFilter, Hooknum: nftables.ChainHookInput, Priority: nftables.ChainPriorityFilter,
	})
	for port, verdict := range map[uint16]expr.Any{
		droppedPort:    &expr.Verdict{Kind: expr.VerdictDrop},
		prohibitedPort: &expr.Reject{Type: unix.NFT_REJECT_ICMP_UNREACH, Code: 13},
	} {
		c.AddRule(&nftables.Rule{Table: table, Chain: chain, Exprs: []expr.Any{
			&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1},
			&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{unix.IPPROTO_TCP}},
			&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: 2, Len: 2},
			&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: binaryutil.BigEndian.PutUint16(port)},
			verdict,
		}})
	}
	return c.Flush()
}

func TestFamiliarCommandsAreFoundByTheirName(t *testing.T) {
	tests := []struct {
		name string
		argv []string
		want string
		args int
	}{
		{"the first argument names it", []string{"podnet_exporter", "paping", "-p", "80"}, "paping", 2},
		{"a link names it", []string{"/usr/local/bin/paping", "-p", "80"}, "paping", 2},
		{"a link takes its own name for a destination", []string{"paping", "paping"}, "paping", 1},
		{"another command", []string{"podnet_exporter", "probe"}, "", 0},
		{"a later word does not count", []string{"podnet_exporter", "probe", "paping"}, "", 0},
		{"no arguments", []string{"podnet_exporter"}, "", 0},
		{"no name", nil, "", 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, args := familiar(tt.argv)
			got := ""
			if c != nil {
				got = c.name
			}
			if got != tt.want || len(args) != tt.args {
				t.Errorf("familiar(%q) = %q with %q; want %q with %d arguments", tt.argv, got, args, tt.want, tt.args)
			}
		})
	}
}
