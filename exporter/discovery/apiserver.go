package discovery

import (
	"context"
	"fmt"
	"net"
	"net/http"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	apiwatch "k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"
)

// resource is a kind of object that is read from the API server.
type resource string

// The resources, by the names that the API has for them.
const (
	resourceSlices   resource = "endpointslices"
	resourceServices resource = "services"
	resourceNodes    resource = "nodes"
	resourcePods     resource = "pods"
	resourceEvents   resource = "events"
)

// resources returns every resource.
func resources() []resource {
	return []resource{resourceSlices, resourceServices, resourceNodes, resourcePods, resourceEvents}
}

// apiServer reads objects from the API server, and notes how that goes.
type apiServer struct {
	core, discovery rest.Interface
	health          *health
}

// newAPIServer returns an apiServer. Nothing is sent before it is used.
// Without a kubeconfig the service account of the pod is used.
func newAPIServer(kubeconfig, userAgent string, health *health) (*apiServer, error) {
	config, err := restConfig(kubeconfig)
	if err != nil {
		return nil, err
	}
	config.UserAgent = userAgent
	config.WarningHandler = rest.NoWarnings{}
	config.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dialPaced(ctx, network, address)
		health.dialled(ctx, err)
		return conn, err
	}
	config.ContentType = runtime.ContentTypeProtobuf
	config.AcceptContentTypes = runtime.ContentTypeProtobuf + "," + runtime.ContentTypeJSON
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, fmt.Errorf("discovery: API server: %w", err)
	}
	codecs := serializer.NewCodecFactory(newScheme()).WithoutConversion()
	core, err := groupClient(*config, client, codecs, "/api", corev1.SchemeGroupVersion)
	if err != nil {
		return nil, err
	}
	slices, err := groupClient(*config, client, sliceSerializer{codecs, &memory{}}, "/apis", discoveryv1.SchemeGroupVersion)
	if err != nil {
		return nil, err
	}
	return &apiServer{core: core, discovery: slices, health: health}, nil
}

func restConfig(kubeconfig string) (*rest.Config, error) {
	if kubeconfig == "" {
		config, err := rest.InClusterConfig()
		if err != nil {
			return nil, fmt.Errorf("discovery: service account: %w", err)
		}
		return config, nil
	}
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("discovery: kubeconfig: %w", err)
	}
	return config, nil
}

func groupClient(config rest.Config, client *http.Client, codecs runtime.NegotiatedSerializer, path string, version schema.GroupVersion) (rest.Interface, error) {
	config.APIPath, config.GroupVersion = path, &version
	config.NegotiatedSerializer = codecs
	c, err := rest.RESTClientForConfigAndClient(&config, client)
	if err != nil {
		return nil, fmt.Errorf("discovery: API server: %w", err)
	}
	return c, nil
}

// newScheme returns the few types that are read. That of client-go has all
// that Kubernetes has, which costs 10 MB of memory.
func newScheme() *runtime.Scheme {
	scheme := runtime.NewScheme()
	scheme.AddKnownTypes(corev1.SchemeGroupVersion,
		&corev1.Node{}, &corev1.NodeList{}, &corev1.Pod{}, &corev1.PodList{},
		&corev1.Service{}, &corev1.ServiceList{}, &corev1.Event{}, &corev1.EventList{})
	addSlices(scheme, discoveryv1.SchemeGroupVersion)
	metav1.AddToGroupVersion(scheme, corev1.SchemeGroupVersion)
	metav1.AddToGroupVersion(scheme, discoveryv1.SchemeGroupVersion)
	return scheme
}

// selection is which objects of a resource are read.
type selection struct {
	resource      resource
	namespace     string // "" for all, and for what is in none
	label, fields string // selectors
}

// listWatch returns how an informer reads the selected objects.
func (a *apiServer) listWatch(s selection) *cache.ListWatch {
	client := a.core
	if s.resource == resourceSlices {
		client = a.discovery
	}
	lw := cache.NewFilteredListWatchFromClient(client, string(s.resource), s.namespace, func(o *metav1.ListOptions) {
		o.LabelSelector, o.FieldSelector = s.label, s.fields
	})
	list, watching := lw.ListWithContextFunc, lw.WatchFuncWithContext
	return &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			objects, err := list(ctx, o)
			a.health.asked(ctx, s.resource, err)
			return objects, err
		},
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (apiwatch.Interface, error) {
			w, err := watching(ctx, o)
			if o.SendInitialEvents == nil || !apierrors.IsInvalid(err) { // too old to stream a list: it is asked for next
				a.health.asked(ctx, s.resource, err)
			}
			return w, err
		},
	}
}

// events returns the events that the fields select, at most so many.
func (a *apiServer) events(ctx context.Context, namespace, fields string, limit int64) ([]corev1.Event, error) {
	var events corev1.EventList
	err := a.core.Get().Namespace(namespace).Resource(string(resourceEvents)).
		VersionedParams(&metav1.ListOptions{FieldSelector: fields, Limit: limit}, metav1.ParameterCodec).
		Do(ctx).Into(&events)
	a.health.asked(ctx, resourceEvents, err)
	return events.Items, err
}
