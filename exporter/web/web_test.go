package web

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	toolkitweb "github.com/prometheus/exporter-toolkit/web"
)

// fakeAgent answers what a test wants.
type fakeAgent struct {
	ready, reload error
	status        Status
}

func (a fakeAgent) Ready() error   { return a.ready }
func (a fakeAgent) Reload() error  { return a.reload }
func (a fakeAgent) Status() Status { return a.status }

func handler(t *testing.T, a Agent) http.Handler {
	t.Helper()
	reg := prometheus.NewRegistry()
	sample := prometheus.NewGauge(prometheus.GaugeOpts{Name: "podnet_sample", Help: "A sample."})
	reg.MustRegister(sample)
	h, err := Handler(Options{Agent: a, Gatherer: reg, Log: slog.New(slog.DiscardHandler), Version: "1.2.3"})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

var sampleStatus = Status{
	Node:    "n1",
	Version: "1.2.3",
	Vantages: []Vantage{
		{Name: "node", Up: true},
		{Name: "pod", Path: "/run/netns/<x>", Error: "no such file or directory"},
	},
	Peers:      []Peer{{Node: "n2", Zone: "a", State: "ready", Family: "ipv4", Verdict: "pod_network", Since: time.Now().Add(-90 * time.Second).UTC()}},
	Namespaces: []Namespace{{Name: "podnet/endpoint-n1", Path: "/run/netns/x", Inode: 4026532000}},
	Collectors: []Collector{{Name: "drops", Error: "no BTF"}},
}

func TestPages(t *testing.T) {
	broken := errors.New("x.yaml:3: mesh.peers: 7 is out of range")
	tests := []struct {
		name, method, path string
		agent              fakeAgent
		code               int
		want               string // part of the body
	}{
		{"the landing page links the metrics", "GET", "/", fakeAgent{}, 200, `href="/metrics"`},
		{"the landing page shows the version", "GET", "/", fakeAgent{}, 200, "1.2.3"},
		{"metrics are served", "GET", "/metrics", fakeAgent{}, 200, "podnet_sample 0"},
		{"a running program is healthy, even when not ready", "GET", "/-/healthy", fakeAgent{ready: broken}, 200, "healthy"},
		{"an agent that probes is ready", "GET", "/-/ready", fakeAgent{}, 200, "ready"},
		{"an agent that does not says why", "GET", "/-/ready", fakeAgent{ready: broken}, 503, "not ready: x.yaml:3"},
		{"a reload is answered", "POST", "/-/reload", fakeAgent{}, 200, "reloaded"},
		{"a reload that fails says why", "POST", "/-/reload", fakeAgent{reload: broken}, 500, "mesh.peers: 7 is out of range"},
		{"a reload is not for GET", "GET", "/-/reload", fakeAgent{}, 405, ""},
		{"the status page shows the verdict of each peer", "GET", "/status", fakeAgent{status: sampleStatus}, 200, "<td>n2</td><td>a</td><td>ready</td><td>ipv4</td><td>pod_network</td><td>1m30s</td>"},
		{"the status page says why a vantage is down", "GET", "/status", fakeAgent{status: sampleStatus}, 200, "down: no such file or directory"},
		{"the status page escapes what it shows", "GET", "/status", fakeAgent{status: sampleStatus}, 200, "/run/netns/&lt;x&gt;"},
		{"the status page says why a collector fails", "GET", "/status", fakeAgent{status: sampleStatus}, 200, "no BTF"},
		{"the status page of an agent that has just started works", "GET", "/status", fakeAgent{ready: broken}, 200, "Not ready: x.yaml:3"},
		{"other paths are not found", "GET", "/nothing", fakeAgent{}, 404, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := httptest.NewRecorder()
			handler(t, tt.agent).ServeHTTP(got, httptest.NewRequest(tt.method, tt.path, nil))
			if got.Code != tt.code || !strings.Contains(got.Body.String(), tt.want) {
				t.Errorf("%s %s = %d\n%s\nwant %d with %q", tt.method, tt.path, got.Code, got.Body, tt.code, tt.want)
			}
		})
	}
}

func TestStatusAsJSON(t *testing.T) {
	rec := httptest.NewRecorder()
	handler(t, fakeAgent{status: sampleStatus}).ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/api/v1/status", nil))
	var got Status
	if err := json.Unmarshal(rec.Body.Bytes(), &got); err != nil {
		t.Fatalf("%v in %s", err, rec.Body)
	}
	if diff := cmp.Diff(sampleStatus, got); diff != "" {
		t.Errorf("status (-want +got):\n%s", diff)
	}
}

// serving is a server under test on loopback.
type serving struct {
	addr string
	stop context.CancelFunc
	done chan error
}

// serve starts Serve and waits until it accepts connections.
func serve(t *testing.T, webConfig string, h http.Handler) *serving {
	t.Helper()
	// Serve reports its address in its log only, so that is read here.
	addrs := make(chan string, 1)
	log := slog.New(slog.NewTextHandler(listening(addrs), nil))
	ctx, cancel := context.WithCancel(t.Context())
	s := &serving{stop: cancel, done: make(chan error, 1)}
	systemd := false
	flags := &toolkitweb.FlagConfig{WebListenAddresses: &[]string{"127.0.0.1:0"}, WebSystemdSocket: &systemd, WebConfigFile: &webConfig}
	go func() { s.done <- Serve(ctx, log, flags, h) }()
	t.Cleanup(cancel)
	select {
	case s.addr = <-addrs:
	case err := <-s.done:
		t.Fatalf("Serve() = %v before it listened", err)
	}
	return s
}

// listening sends the first address that is logged.
type listening chan<- string

func (l listening) Write(line []byte) (int, error) {
	if _, addr, ok := bytes.Cut(bytes.TrimSpace(line), []byte("address=")); ok {
		select {
		case l <- string(addr):
		default:
		}
	}
	return len(line), nil
}

func TestServeStopsWhenTold(t *testing.T) {
	began, release := make(chan struct{}), make(chan struct{})
	s := serve(t, "", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(began)
		<-release
		fmt.Fprint(w, "done")
	}))
	body := make(chan string, 1)
	go func() {
		resp, err := http.Get("http://" + s.addr)
		if err != nil {
			body <- err.Error()
			return
		}
		defer resp.Body.Close()
		text, _ := io.ReadAll(resp.Body)
		body <- string(text)
	}()
	<-began
	s.stop()
	close(release)
	if err := <-s.done; err != nil {
		t.Errorf("Serve() = %v; want nil", err)
	}
	if got := <-body; got != "done" {
		t.Errorf("the request that was running got %q; want its answer", got)
	}
}

func TestServeCutsOffRequestsThatDoNotEnd(t *testing.T) {
	began := make(chan struct{})
	s := serve(t, "", http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(began)
		<-r.Context().Done()
	}))
	go func() {
		if resp, err := http.Get("http://" + s.addr); err == nil {
			resp.Body.Close()
		}
	}()
	<-began
	start := time.Now()
	s.stop()
	if err := <-s.done; err != nil {
		t.Errorf("Serve() = %v; want nil", err)
	}
	if took := time.Since(start); took > 2*time.Second {
		t.Errorf("Serve() took %v to stop; want at most 2 s", took)
	}
}

func TestServeReportsAnAddressThatIsTaken(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	systemd, none := false, ""
	flags := &toolkitweb.FlagConfig{WebListenAddresses: &[]string{l.Addr().String()}, WebSystemdSocket: &systemd, WebConfigFile: &none}
	err = Serve(t.Context(), slog.New(slog.DiscardHandler), flags, http.NotFoundHandler())
	if err == nil || !strings.Contains(err.Error(), "address already in use") {
		t.Errorf("Serve() = %v; want that the address is in use", err)
	}
}

// passwordHash is the bcrypt hash of "correct horse".
const passwordHash = "$2a$04$Erw9fjJZu4YtruJAdhggjubMwo/e8at9wr.TEixoFkFa2dIHXOQfW"

func TestServeWithTLSAndPassword(t *testing.T) {
	dir := t.TempDir()
	roots := certificate(t, dir)
	webConfig := filepath.Join(dir, "web.yaml")
	text := "tls_server_config:\n  cert_file: cert.pem\n  key_file: key.pem\nbasic_auth_users:\n  prometheus: " + passwordHash + "\n"
	if err := os.WriteFile(webConfig, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s := serve(t, webConfig, handler(t, fakeAgent{}))
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}}
	defer client.CloseIdleConnections()

	tests := []struct {
		name, user, password string
		want                 int
	}{
		{"with the password", "prometheus", "correct horse", 200},
		{"with a wrong password", "prometheus", "battery", 401},
		{"without a password", "", "", 401},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+s.addr+"/metrics", nil)
			if err != nil {
				t.Fatal(err)
			}
			if tt.user != "" {
				req.SetBasicAuth(tt.user, tt.password)
			}
			resp, err := client.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			if resp.StatusCode != tt.want {
				t.Errorf("status = %d; want %d", resp.StatusCode, tt.want)
			}
		})
	}
	t.Run("without TLS", func(t *testing.T) {
		resp, err := http.Get("http://" + s.addr + "/metrics")
		if err != nil {
			return
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusBadRequest {
			t.Errorf("status = %d; want %d", resp.StatusCode, http.StatusBadRequest)
		}
	})
}

// certificate writes cert.pem and key.pem for 127.0.0.1 and returns who to
// trust.
func certificate(t *testing.T, dir string) *x509.CertPool {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(time.Hour),
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	certPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert})
	for name, data := range map[string][]byte{
		"cert.pem": certPEM,
		"key.pem":  pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(certPEM)
	return roots
}
