package config

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/podnet-exporter/podnet_exporter/exporter/strictyaml"
)

var update = flag.Bool("update", false, "write the messages of testdata/*.yaml into testdata/*.want")

func TestEveryMistakeHasItsMessage(t *testing.T) {
	t.Setenv("NODE_NAME", "n1")
	t.Setenv("POD_NAMESPACE", "")
	files, err := filepath.Glob("testdata/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no testdata: %v", err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".yaml")
		t.Run(strings.ReplaceAll(name, "-", " "), func(t *testing.T) {
			_, err := Load(file)
			var mistakes strictyaml.Mistakes
			if !errors.As(err, &mistakes) {
				t.Fatalf("Load() error = %v; want strictyaml.Mistakes", err)
			}
			golden := strings.TrimSuffix(file, ".yaml") + ".want"
			if *update {
				if err := os.WriteFile(golden, []byte(err.Error()+"\n"), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, readErr := os.ReadFile(golden)
			if readErr != nil {
				t.Fatal(readErr)
			}
			if diff := cmp.Diff(string(want), err.Error()+"\n"); diff != "" {
				t.Errorf("messages differ (-want +got):\n%s", diff)
			}
		})
	}
}

func TestTheExampleIsTheDefault(t *testing.T) {
	t.Setenv("NODE_NAME", "n1")
	got, err := Load("example.yaml")
	if err != nil {
		t.Fatal(err)
	}
	want := Default()
	want.Discovery.File.Path = "/etc/podnet_exporter/nodes.yaml" // has no default
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("example.yaml differs from Default() (-default +example):\n%s", diff)
	}
}

func TestTheExampleOfKubernetesIsItsDefault(t *testing.T) {
	t.Setenv("NODE_NAME", "n1")
	t.Setenv("POD_NAMESPACE", "podnet")
	example, err := os.ReadFile("example.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for line := range strings.Lines(string(example)) {
		switch {
		case line == "  file:\n" || strings.HasPrefix(line, "    path: /"):
		case line == "  # kubernetes:\n" || strings.HasPrefix(line, "  #   "):
			lines = append(lines, strings.Replace(line, "# ", "", 1))
		default:
			lines = append(lines, line)
		}
	}
	got, err := Parse([]byte(strings.Join(lines, "")))
	if err != nil {
		t.Fatal(err)
	}
	want, err := Parse([]byte("discovery: {kubernetes: {}}\n"))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("example.yaml differs from the default (-default +example):\n%s", diff)
	}
	if k := got.Discovery.Kubernetes; k != (KubernetesDiscovery{Namespace: "podnet", AgentsService: "podnet-agent", EndpointsService: "podnet-endpoint"}) {
		t.Errorf("discovery.kubernetes = %+v", k)
	}
}

func TestKubernetesIsAskedForByItsSection(t *testing.T) {
	t.Setenv("NODE_NAME", "n1")
	t.Setenv("POD_NAMESPACE", "ours")
	tests := []struct {
		name, text string
		want       KubernetesDiscovery
	}{
		{"without a value", "kubernetes:", KubernetesDiscovery{"ours", "podnet-agent", "podnet-endpoint", ""}},
		{"empty", "kubernetes: {}", KubernetesDiscovery{"ours", "podnet-agent", "podnet-endpoint", ""}},
		{"a kubeconfig only", "kubernetes: {kubeconfig: /k}", KubernetesDiscovery{"ours", "podnet-agent", "podnet-endpoint", "/k"}},
		{"everything", "kubernetes: {namespace: n, agents_service: a, endpoints_service: e}", KubernetesDiscovery{"n", "a", "e", ""}},
		{"not at all", "file: {path: /x}", KubernetesDiscovery{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, err := Parse([]byte("discovery:\n  " + tt.text + "\n"))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, c.Discovery.Kubernetes); diff != "" {
				t.Errorf("discovery.kubernetes (-want +got):\n%s", diff)
			}
			if got := c.Discovery.Kubernetes.Enabled(); got != (tt.name != "not at all") {
				t.Errorf("Enabled() = %v", got)
			}
		})
	}
}

func TestTheExampleNamesEveryKey(t *testing.T) {
	example, err := os.ReadFile("example.yaml")
	if err != nil {
		t.Fatal(err)
	}
	// What is an alternative, or has no default to show, is a comment.
	text := regexp.MustCompile(`(?m)^( *)# (node:|kubernetes:|  \w+: )`).ReplaceAll(example, []byte("$1$2"))
	missing, err := strictyaml.Missing(text, reflect.TypeFor[Config]())
	if err != nil || len(missing) > 0 {
		t.Errorf("example.yaml does not name %v, %v", missing, err)
	}
}

// TestReadmeShowsDefaults holds the README's table of keys to the defaults.
func TestReadmeShowsDefaults(t *testing.T) {
	t.Setenv("NODE_NAME", "n1")
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := regexp.MustCompile("(?m)^\\| `((?:mesh|probes|collectors|responder)\\.[a-z_.]+)` \\| `?([^`|]+?)`? \\|").FindAllSubmatch(readme, -1)
	if len(rows) < 5 {
		t.Fatalf("README.md has %d keys in its table", len(rows))
	}
	for _, row := range rows {
		value := reflect.ValueOf(*Default())
		for name := range strings.SplitSeq(string(row[1]), ".") {
			value = value.FieldByNameFunc(func(field string) bool {
				f, _ := value.Type().FieldByName(field)
				return f.Tag.Get("yaml") == name
			})
			if !value.IsValid() {
				t.Fatalf("README.md has %s, which is no key", row[1])
			}
		}
		if got := fmt.Sprint(value); got != string(row[2]) {
			t.Errorf("README.md says that %s is %s; it is %s", row[1], row[2], got)
		}
	}
}

func TestAFileChangesOnlyWhatItNames(t *testing.T) {
	t.Setenv("NODE_NAME", "n1")
	got, err := Parse([]byte("discovery: {file: {path: /x}}\nnode: n2\nprobes:\n  icmp:\n  tcp:\n    interval: 250ms\n    timeout: 100ms\ncollectors: {drops: {enabled: false}}\n"))
	if err != nil {
		t.Fatal(err)
	}
	want := Default()
	want.Node = "n2"
	want.Discovery.File.Path = "/x"
	want.Probes.TCP.Interval, want.Probes.TCP.Timeout = 250*time.Millisecond, 100*time.Millisecond
	want.Collectors.Drops.Enabled = false
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Parse() (-want +got):\n%s", diff)
	}
}

func TestRelativePathsStartAtTheFile(t *testing.T) {
	t.Setenv("NODE_NAME", "n1")
	dir := t.TempDir()
	file := filepath.Join(dir, "config.yaml")
	text := "discovery: {file: {path: nodes.yaml}}\nresponder: {key_file: secret/key}\n"
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	got, err := Load(file)
	if err != nil {
		t.Fatal(err)
	}
	if want := filepath.Join(dir, "nodes.yaml"); got.Discovery.File.Path != want {
		t.Errorf("discovery.file.path = %q; want %q", got.Discovery.File.Path, want)
	}
	if want := filepath.Join(dir, "secret/key"); got.Responder.KeyFile != want {
		t.Errorf("responder.key_file = %q; want %q", got.Responder.KeyFile, want)
	}
}

func TestARelativeKubeconfigStartsAtTheFile(t *testing.T) {
	t.Setenv("NODE_NAME", "n1")
	file := filepath.Join(t.TempDir(), "config.yaml")
	text := "discovery: {kubernetes: {namespace: podnet, kubeconfig: kubeconfig}}\n"
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	got, err := Load(file)
	if err != nil {
		t.Fatal(err)
	}
	if want := filepath.Join(filepath.Dir(file), "kubeconfig"); got.Discovery.Kubernetes.Kubeconfig != want {
		t.Errorf("discovery.kubernetes.kubeconfig = %q; want %q", got.Discovery.Kubernetes.Kubeconfig, want)
	}
}

func TestANodeWithoutNameIsTheHost(t *testing.T) {
	t.Setenv("NODE_NAME", "")
	host, err := os.Hostname()
	if err != nil {
		t.Skip(err)
	}
	if got := Default().Node; got != host {
		t.Errorf("Default().Node = %q; want the host's name %q", got, host)
	}
}

func TestValidateReportsEveryMistakeWithoutAFile(t *testing.T) {
	c := Default()
	c.Node = "n1"
	c.Mesh.Peers = 0
	want := "discovery.file.path: empty; give the YAML file that lists the nodes, for example /etc/podnet_exporter/nodes.yaml, or discovery.kubernetes in place of discovery.file\n" +
		"mesh.peers: 0 is out of range; allowed: 8 to 256"
	if err := c.Validate(); err == nil || err.Error() != want {
		t.Errorf("Validate() = %v; want\n%s", err, want)
	}
	c.Mesh.Peers = 8
	c.Discovery.File.Path = "nodes.yaml"
	if err := c.Validate(); err != nil {
		t.Errorf("Validate() of a good config = %v", err)
	}
}

func TestAFileThatIsNotThereIsNotAMistakeInIt(t *testing.T) {
	_, err := Load(filepath.Join(t.TempDir(), "missing.yaml"))
	if !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Load() = %v; want os.ErrNotExist", err)
	}
}

func FuzzParse(f *testing.F) {
	files, _ := filepath.Glob("testdata/*.yaml")
	for _, file := range append(files, "example.yaml") {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := Parse(data)
		if err != nil {
			return
		}
		if err := c.Validate(); err != nil {
			t.Errorf("Parse() took what Validate() rejects: %v", err)
		}
	})
}
