package main

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"golang.org/x/sys/unix"

	"github.com/podnet-exporter/podnet_exporter/exporter/netns"
)

// agentCapabilities is what docs/SECURITY.md says that the agent needs, and
// what the Helm chart gives to it.
var agentCapabilities = []uintptr{unix.CAP_NET_ADMIN, unix.CAP_NET_RAW, unix.CAP_SYS_ADMIN, unix.CAP_SYS_PTRACE, unix.CAP_SYSLOG}

// allFeatures is what an agent shows on its page of metrics when it can do
// everything.
var allFeatures = []string{
	"collector conntrack", "collector drops", "collector interface", "collector namespaces", "collector qdisc",
	"collector route", "collector sockets", "collector softnet", "collector tcp",
	"names of functions", "probe icmp", "probe tcp", "probe udp", "vantage node", "vantage pod",
}

// TestEveryCapabilityIsNeededForOneFeature runs agents side by side, some with
// exactly the documented capabilities and the others with one less each, and
// sees that this much stops to work, is said, and no more.
func TestEveryCapabilityIsNeededForOneFeature(t *testing.T) {
	if !inOwnNamespace(t) {
		return
	}
	ofPods := []string{
		"collector conntrack", "collector interface", "collector qdisc", "collector route",
		"collector sockets", "collector tcp", "vantage pod",
	}
	tests := []struct {
		name    string
		without []uintptr
		with    []uintptr
		broken  []string
		says    []string // in the log; nothing is to be warned of if there is none
	}{
		{"all of them", nil, nil, nil, nil},
		{"no CAP_NET_ADMIN", []uintptr{unix.CAP_NET_ADMIN}, nil, []string{"collector conntrack"}, []string{"give the agent CAP_NET_ADMIN"}},
		{"no CAP_NET_RAW", []uintptr{unix.CAP_NET_RAW}, nil, []string{"probe icmp"}, []string{"needs CAP_NET_RAW"}},
		{"no CAP_SYS_PTRACE", []uintptr{unix.CAP_SYS_PTRACE}, nil, []string{"vantage pod"}, []string{"CAP_SYS_PTRACE"}},
		{"no CAP_SYSLOG", []uintptr{unix.CAP_SYSLOG}, nil, []string{"collector drops", "names of functions"}, []string{"give the agent CAP_SYSLOG"}},
		{"no CAP_SYS_ADMIN", []uintptr{unix.CAP_SYS_ADMIN}, nil, append([]string{"collector drops", "names of functions"}, ofPods...),
			[]string{"cannot probe from this vantage", "needs CAP_SYS_ADMIN", "needs CAP_BPF and CAP_PERFMON"}},
		{"CAP_BPF and CAP_PERFMON in place of CAP_SYS_ADMIN", []uintptr{unix.CAP_SYS_ADMIN},
			[]uintptr{unix.CAP_BPF, unix.CAP_PERFMON}, ofPods, []string{"needs CAP_SYS_ADMIN"}},
	}
	files := newCapabilityCluster(t)
	// An agent without ICMP sees the probes of others die, so there has to be
	// another one for as long as any of them runs.
	startLimited(t, files, 9800, agentCapabilities)
	for i, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			capabilities := slices.DeleteFunc(slices.Concat(agentCapabilities, tt.with), func(c uintptr) bool {
				return slices.Contains(tt.without, c)
			})
			a := startLimited(t, files, 9801+i, capabilities)
			want := slices.DeleteFunc(slices.Clone(allFeatures), func(f string) bool { return slices.Contains(tt.broken, f) })
			a.awaitFeatures(t, want)
			for _, text := range tt.says {
				a.awaitLog(t, text)
			}
			if tt.says == nil && strings.Contains(a.log.String(), "level=warn") {
				t.Errorf("it warns though it has what it needs:\n%s", a.log.String())
			}
		})
	}
}

// newCapabilityCluster makes a node out of the process's own network namespace,
// and its endpoint, a process of nobody's in a namespace of its own. The node
// drops every echo reply of the endpoint. Both have a responder, which the
// agents share. It returns the configuration of an agent.
func newCapabilityCluster(t *testing.T) string {
	t.Helper()
	folder := t.TempDir()
	file := func(name, text string, mode os.FileMode) string {
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	key := file("key", "a key of this test", 0o444)
	for dir := folder; dir != os.TempDir(); dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil { // for nobody
			t.Fatal(err)
		}
	}
	endpoint := program(t, "podnet_exporter", "respond", "--node=n1", "--pod=podnet/endpoint", "--key-file="+key)
	endpoint.Path = "/proc/self/exe" // nobody can follow no other path to it
	endpoint.Dir = "/"
	endpoint.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNET, Credential: &syscall.Credential{Uid: 65534, Gid: 65534},
	}
	startChild(t, endpoint, &safeBuffer{})
	path := fmt.Sprintf("/proc/%d/ns/net", endpoint.Process.Pid)
	ns, err := netns.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ns.Close() })
	connect(t, ns)
	dropEchoReplies(t)
	startChild(t, program(t, "podnet_exporter", "respond", "--node=n1", "--key-file="+key), &safeBuffer{})
	file("nodes.yaml", "nodes: [{name: n1, addresses: [10.9.0.1], endpoint: {namespace: podnet, pod: endpoint, addresses: [10.9.0.2], netns: "+path+"}}]\n", 0o600)
	return file("podnet_exporter.yaml", "node: n1\ndiscovery: {file: {path: nodes.yaml}}\n"+
		"responder: {enabled: false, key_file: key}\nprobes: {icmp: {interval: 200ms, timeout: 100ms}}\n", 0o600)
}

// dropEchoReplies makes the process's own namespace drop what the endpoint
// replies to ICMP.
func dropEchoReplies(t *testing.T) {
	t.Helper()
	c, err := nftables.New()
	if err != nil {
		t.Fatal(err)
	}
	table := c.AddTable(&nftables.Table{Name: "test", Family: nftables.TableFamilyIPv4})
	chain := c.AddChain(&nftables.Chain{
		Name: "in", Table: table, Type: nftables.ChainTypeFilter, Hooknum: nftables.ChainHookInput, Priority: nftables.ChainPriorityFilter,
	})
	c.AddRule(&nftables.Rule{Table: table, Chain: chain, Exprs: []expr.Any{
		&expr.Meta{Key: expr.MetaKeyIIFNAME, Register: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: append([]byte("veth-endpoint"), 0, 0, 0)},
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: binaryutil.NativeEndian.PutUint16(unix.IPPROTO_ICMP)[:1]},
		&expr.Verdict{Kind: expr.VerdictDrop},
	}})
	if err := c.Flush(); err != nil {
		t.Fatal(err)
	}
}

// limitedAgent is an agent in a process with few capabilities.
type limitedAgent struct {
	url string
	log *safeBuffer
}

// startLimited starts an agent as root with these capabilities and no others,
// which can never get more: what Kubernetes does with "drop: [ALL]" and
// allowPrivilegeEscalation false.
func startLimited(t *testing.T, config string, port int, capabilities []uintptr) *limitedAgent {
	t.Helper()
	a := &limitedAgent{url: fmt.Sprintf("http://127.0.0.1:%d/metrics", port), log: &safeBuffer{}}
	cmd := program(t, "podnet_exporter", "run", "--config.file="+config, fmt.Sprintf("--web.listen-address=127.0.0.1:%d", port))
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // the thread ends with the goroutine, and passes its bounds on to the child
		if err := bound(capabilities); err != nil {
			done <- err
			return
		}
		startChild(t, cmd, a.log)
		done <- nil
	}()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	return a
}

// bound makes programs that the calling thread starts have at most these
// capabilities.
func bound(capabilities []uintptr) error {
	for c := uintptr(0); c <= unix.CAP_LAST_CAP; c++ {
		if slices.Contains(capabilities, c) {
			continue
		}
		if err := unix.Prctl(unix.PR_CAPBSET_DROP, c, 0, 0, 0); err != nil && err != unix.EINVAL {
			return fmt.Errorf("drop capability %d: %w", c, err)
		}
	}
	return unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
}

// startChild starts a program that ends with the test, as it should.
func startChild(t *testing.T, cmd *exec.Cmd, log *safeBuffer) {
	t.Helper()
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Cancel = func() error {
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			return err
		}
		return os.ErrProcessDone // so that Wait says how it ended
	}
	if err := cmd.Start(); err != nil {
		t.Error(err)
		return
	}
	t.Cleanup(func() {
		if err := cmd.Wait(); err != nil {
			t.Errorf("%v: %v\n%s", cmd.Args, err, log)
		}
	})
}

// awaitFeatures waits until exactly these features work.
func (a *limitedAgent) awaitFeatures(t *testing.T, want []string) {
	t.Helper()
	var got []string
	deadline := time.NewTimer(30 * time.Second)
	defer deadline.Stop()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		if got = a.features(); slices.Equal(got, want) {
			return
		}
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatalf("what works, 30 s after the start (-want +got):\n%s\n%s", cmp.Diff(want, got), a.log)
		}
	}
}

func (a *limitedAgent) awaitLog(t *testing.T, text string) {
	t.Helper()
	eventually(t, "the log says "+text, func() bool { return strings.Contains(a.log.String(), text) })
}

// features returns what works, sorted, nil if the agent does not answer yet.
func (a *limitedAgent) features() []string {
	resp, err := http.Get(a.url)
	if err != nil {
		return nil
	}
	defer resp.Body.Close()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(resp.Body)
	if err != nil {
		return nil
	}
	works := make(map[string]bool)
	for _, m := range families["podnet_collector_success"].GetMetric() {
		works["collector "+label(m, "collector")] = m.GetGauge().GetValue() == 1
	}
	for _, m := range families["podnet_prober_vantage_up"].GetMetric() {
		works["vantage "+label(m, "vantage")] = m.GetGauge().GetValue() == 1
	}
	for _, m := range families["podnet_probe_drops_total"].GetMetric() {
		if label(m, "probe") == "icmp" && label(m, "function") == "nft_do_chain" {
			works["names of functions"] = true
		}
	}
	// Probes that have a round-trip time have worked.
	for _, m := range families["podnet_probe_rtt_seconds"].GetMetric() {
		if probe := label(m, "probe"); m.GetHistogram().GetSampleCount() > 0 && slices.Contains([]string{"icmp", "tcp", "udp"}, probe) {
			works["probe "+probe] = true
		}
	}
	var list []string
	for feature, ok := range works {
		if ok {
			list = append(list, feature)
		}
	}
	slices.Sort(list)
	return list
}

func label(m *dto.Metric, name string) string {
	for _, l := range m.GetLabel() {
		if l.GetName() == name {
			return l.GetValue()
		}
	}
	return ""
}

// safeBuffer is what a child process wrote so far.
type safeBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *safeBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}
