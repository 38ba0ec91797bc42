package discovery

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// object is what the fake API server holds.
type object interface {
	metav1.Object
	runtime.Object
}

// fakeAPI is an API server with lists, watches from any version, and selectors,
// in JSON over HTTP. What it holds stays while it is away.
type fakeAPI struct {
	t    *testing.T
	addr string

	mu      sync.Mutex
	server  *httptest.Server
	version int
	log     map[resource][]fakeEvent // everything that ever happened
	more    chan struct{}            // closed at the next change
	denied  map[resource]bool
	lists   bool // streams no initial events, as before Kubernetes 1.32
}

type fakeEvent struct {
	Type    string `json:"type"`
	Object  object `json:"object"`
	version int
}

func newFakeAPI(t *testing.T) *fakeAPI {
	t.Helper()
	f := &fakeAPI{t: t, log: map[resource][]fakeEvent{}, more: make(chan struct{}), denied: map[resource]bool{}}
	f.start()
	t.Cleanup(f.stop)
	return f
}

// start makes the server reachable, always at the same address.
func (f *fakeAPI) start() {
	f.t.Helper()
	l, err := net.Listen("tcp", cmpOr(f.addr, "127.0.0.1:0"))
	if err != nil {
		f.t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(http.HandlerFunc(f.serve))
	server.Listener.Close()
	server.Listener = l
	server.Start()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.addr, f.server = l.Addr().String(), server
}

func cmpOr(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// stop ends the server with all its connections.
func (f *fakeAPI) stop() {
	f.mu.Lock()
	server := f.server
	f.server = nil
	f.mu.Unlock()
	if server != nil {
		server.CloseClientConnections()
		server.Close()
	}
}

// kubeconfig returns a file that names the server.
func (f *fakeAPI) kubeconfig() string {
	file := filepath.Join(f.t.TempDir(), "kubeconfig")
	text := fmt.Sprintf("apiVersion: v1\nkind: Config\nclusters: [{name: c, cluster: {server: 'http://%s'}}]\n"+
		"contexts: [{name: c, context: {cluster: c, user: u}}]\ncurrent-context: c\nusers: [{name: u, user: {}}]\n", f.addr)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		f.t.Fatal(err)
	}
	return file
}

func (f *fakeAPI) deny(r resource, denied bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.denied[r] = denied
}

// put adds an object, or a new version of it.
func (f *fakeAPI) put(r resource, o object) {
	f.mu.Lock()
	defer f.mu.Unlock()
	kind := "ADDED"
	for _, there := range f.present(r, everything) {
		if there.GetNamespace() == o.GetNamespace() && there.GetName() == o.GetName() {
			kind = "MODIFIED"
		}
	}
	f.note(r, kind, o)
}

func (f *fakeAPI) remove(r resource, o object) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.note(r, "DELETED", o)
}

func (f *fakeAPI) note(r resource, kind string, o object) {
	o = o.DeepCopyObject().(object)
	o.GetObjectKind().SetGroupVersionKind(kindOf(r))
	f.version++
	o.SetResourceVersion(strconv.Itoa(f.version))
	f.log[r] = append(f.log[r], fakeEvent{kind, o, f.version})
	close(f.more)
	f.more = make(chan struct{})
}

func everything(object) bool { return true }

// present returns what is there now.
func (f *fakeAPI) present(r resource, wanted func(object) bool) []object {
	var there []object
	for i, e := range f.log[r] {
		later := false
		for _, next := range f.log[r][i+1:] {
			later = later || next.Object.GetName() == e.Object.GetName() && next.Object.GetNamespace() == e.Object.GetNamespace()
		}
		if !later && e.Type != "DELETED" && wanted(e.Object) {
			there = append(there, e.Object)
		}
	}
	return there
}

func (f *fakeAPI) serve(w http.ResponseWriter, r *http.Request) {
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	res, namespace := resource(parts[len(parts)-1]), ""
	if len(parts) > 2 && parts[len(parts)-3] == "namespaces" {
		namespace = parts[len(parts)-2]
	}
	q := r.URL.Query()
	f.mu.Lock()
	denied, lists := f.denied[res], f.lists
	f.mu.Unlock()
	switch {
	case denied:
		refuse(w, http.StatusForbidden, metav1.StatusReasonForbidden, fmt.Sprintf("%s is forbidden: the test says so", res))
	case q.Get("watch") == "":
		f.list(w, res, selected(q.Get, namespace))
	case q.Get("sendInitialEvents") == "true" && lists:
		refuse(w, http.StatusUnprocessableEntity, metav1.StatusReasonInvalid, "sendInitialEvents is forbidden for watch unless the WatchList feature gate is enabled")
	default:
		f.watch(w, r, res, selected(q.Get, namespace))
	}
}

// selected returns what a request selects.
func selected(param func(string) string, namespace string) func(object) bool {
	label, labelErr := labels.Parse(param("labelSelector"))
	field, fieldErr := fields.ParseSelector(param("fieldSelector"))
	return func(o object) bool {
		return labelErr == nil && fieldErr == nil && (namespace == "" || o.GetNamespace() == namespace) &&
			label.Matches(labels.Set(o.GetLabels())) && field.Matches(fieldsOf(o))
	}
}

// fieldsOf returns the fields that can be selected by.
func fieldsOf(o object) fields.Set {
	data, _ := json.Marshal(o)
	var f struct {
		Spec           struct{ NodeName string }
		InvolvedObject struct{ UID string }
		Reason         string
	}
	_ = json.Unmarshal(data, &f)
	return fields.Set{
		"metadata.name": o.GetName(), "spec.nodeName": f.Spec.NodeName, "involvedObject.uid": f.InvolvedObject.UID, "reason": f.Reason,
	}
}

func refuse(w http.ResponseWriter, code int, reason metav1.StatusReason, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(metav1.Status{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"},
		Status:   metav1.StatusFailure, Code: int32(code), Reason: reason, Message: message,
	})
}

func kindOf(r resource) schema.GroupVersionKind {
	group := schema.GroupVersion{Version: "v1"}
	if r == resourceSlices {
		group.Group = "discovery.k8s.io"
	}
	return group.WithKind(map[resource]string{
		resourceSlices: "EndpointSlice", resourceServices: "Service", resourceNodes: "Node", resourcePods: "Pod", resourceEvents: "Event",
	}[r])
}

func (f *fakeAPI) list(w http.ResponseWriter, r resource, wanted func(object) bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	kind := kindOf(r)
	items := f.present(r, wanted)
	if items == nil {
		items = []object{}
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{
		"apiVersion": kind.GroupVersion().String(), "kind": kind.Kind + "List",
		"metadata": map[string]string{"resourceVersion": strconv.Itoa(f.version)}, "items": items,
	})
}

// watch streams events until the client or the server ends.
func (f *fakeAPI) watch(w http.ResponseWriter, r *http.Request, res resource, wanted func(object) bool) {
	w.Header().Set("Content-Type", "application/json")
	out := json.NewEncoder(w)
	from, _ := strconv.Atoi(r.URL.Query().Get("resourceVersion"))
	if r.URL.Query().Get("sendInitialEvents") == "true" {
		from = f.initial(out, res, wanted)
	}
	for {
		f.mu.Lock()
		more := f.more
		for _, e := range f.log[res] {
			if e.version > from && wanted(e.Object) {
				_ = out.Encode(e)
			}
		}
		from = f.version
		f.mu.Unlock()
		w.(http.Flusher).Flush()
		select {
		case <-r.Context().Done():
			return
		case <-more:
		}
	}
}

// initial sends what is there, and the bookmark behind it.
func (f *fakeAPI) initial(out *json.Encoder, r resource, wanted func(object) bool) (version int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, o := range f.present(r, wanted) {
		_ = out.Encode(fakeEvent{Type: "ADDED", Object: o})
	}
	kind := kindOf(r)
	_ = out.Encode(map[string]any{"type": "BOOKMARK", "object": map[string]any{
		"apiVersion": kind.GroupVersion().String(), "kind": kind.Kind, "metadata": map[string]any{
			"resourceVersion": strconv.Itoa(f.version), "annotations": map[string]string{metav1.InitialEventsAnnotationKey: "true"},
		},
	}})
	return f.version
}
