package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/rest"
)

// Where the parts of the cluster listen.
const (
	etcdURL   = "http://127.0.0.1:2379"
	apiAddr   = "127.0.0.1:6443"
	proxyAddr = worldManaged + ":7443" // of the agent's way to the API server
	agentAddr = nodeManaged + ":9797"

	worldManaged = "10.241.0.1" // the link for management
	nodeManaged  = "10.241.0.2"
	token        = "scale"
)

// startAPI starts etcd and an API server that takes the token.
func (o options) startAPI(c *children) error {
	if err := o.writeKeys(); err != nil {
		return err
	}
	if _, err := c.start("etcd", nil, o.Repo+"/bin/etcd", "--data-dir="+o.path("etcd"), "--listen-client-urls="+etcdURL, "--advertise-client-urls="+etcdURL,
		"--listen-peer-urls=http://127.0.0.1:2380", "--unsafe-no-fsync"); err != nil {
		return err
	}
	_, err := c.start("kube-apiserver", nil, o.Repo+"/bin/kubernetes/kube-apiserver",
		"--etcd-servers="+etcdURL, "--bind-address=127.0.0.1", "--advertise-address=127.0.0.1", "--secure-port=6443", "--cert-dir="+o.path("certs"),
		"--service-cluster-ip-range=10.96.0.0/16", "--service-account-issuer=https://kubernetes.default.svc",
		"--service-account-key-file="+o.path("sa.pub"), "--service-account-signing-key-file="+o.path("sa.key"),
		"--token-auth-file="+o.path("tokens.csv"), "--authorization-mode=AlwaysAllow", "--disable-admission-plugins=ServiceAccount")
	return err
}

func (o options) path(name string) string { return filepath.Join(o.Dir, name) }

// writeKeys writes what the API server needs, the agent's kubeconfig, and the
// key of the cluster.
func (o options) writeKeys() error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return err
	}
	for name, data := range map[string][]byte{
		"sa.key":     pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}),
		"sa.pub":     pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public}),
		"tokens.csv": []byte(token + ",scale,scale,\"system:masters\"\n"),
		"key":        []byte("key of a cluster that is not there\n"),
		"kubeconfig": []byte("apiVersion: v1\nkind: Config\ncurrent-context: c\nclusters: [{name: c, cluster: {server: 'https://" + proxyAddr +
			"', insecure-skip-tls-verify: true}}]\ncontexts: [{name: c, context: {cluster: c, user: u}}]\nusers: [{name: u, user: {token: " + token + "}}]\n"),
	} {
		if err := os.WriteFile(o.path(name), data, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// api writes objects.
type api struct{ core, discovery rest.Interface }

func newAPI() (*api, error) {
	scheme := runtime.NewScheme()
	if err := corev1.AddToScheme(scheme); err != nil {
		return nil, err
	}
	if err := discoveryv1.AddToScheme(scheme); err != nil {
		return nil, err
	}
	codecs := serializer.NewCodecFactory(scheme).WithoutConversion()
	group := func(path string, version schema.GroupVersion) (rest.Interface, error) {
		return rest.RESTClientFor(&rest.Config{
			Host: "https://" + apiAddr, BearerToken: token, TLSClientConfig: rest.TLSClientConfig{Insecure: true}, QPS: -1, APIPath: path,
			ContentConfig: rest.ContentConfig{GroupVersion: &version, NegotiatedSerializer: codecs, ContentType: runtime.ContentTypeProtobuf},
		})
	}
	core, err := group("/api", corev1.SchemeGroupVersion)
	if err != nil {
		return nil, err
	}
	discovery, err := group("/apis", discoveryv1.SchemeGroupVersion)
	return &api{core, discovery}, err
}

// object is anything that is written.
type object interface {
	metav1.Object
	runtime.Object
}

func (a *api) client(resource string) rest.Interface {
	if resource == "endpointslices" {
		return a.discovery
	}
	return a.core
}

// ready asks the API server whether it serves.
func (a *api) ready(ctx context.Context) error {
	return a.core.Get().AbsPath("/readyz").Do(ctx).Error()
}

// create writes a new object, and reads what became of it.
func (a *api) create(ctx context.Context, resource string, o object) error {
	err := a.client(resource).Post().NamespaceIfScoped(o.GetNamespace(), o.GetNamespace() != "").Resource(resource).Body(o).Do(ctx).Into(o)
	if err != nil {
		return fmt.Errorf("create %s %s: %w", resource, o.GetName(), err)
	}
	return nil
}

// update writes a new version of an object.
func (a *api) update(ctx context.Context, resource string, o object, part ...string) error {
	err := a.client(resource).Put().NamespaceIfScoped(o.GetNamespace(), o.GetNamespace() != "").Resource(resource).
		Name(o.GetName()).SubResource(part...).Body(o).Do(ctx).Into(o)
	if err != nil {
		return fmt.Errorf("update %s %s: %w", resource, o.GetName(), err)
	}
	return nil
}
