package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"time"

	"github.com/podnet-exporter/podnet_exporter/deploy/internal/statefile"
)

// certificateLife is how long the cluster's certificates hold; no cluster of
// tests lives that long.
const certificateLife = 30 * 24 * time.Hour

// authority signs the cluster's certificates.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// identity is somebody whom the apiserver or the kubelets know.
type identity struct {
	file         string // STATE/pki/FILE.crt and .key
	name, group  string // user and group in Kubernetes; group may be ""
	names        []string
	ips          []net.IP
	noKubeconfig bool
}

// identities returns everybody of the cluster. Sources: kubernetes.io, "PKI
// certificates and requirements".
func (c *Cluster) identities() []identity {
	all := []identity{
		{
			file: "apiserver", name: "kube-apiserver", noKubeconfig: true,
			names: []string{"kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local"},
			ips:   []net.IP{c.Plan.Control.Addr4.AsSlice(), c.Plan.APIService.AsSlice(), net.IPv4(127, 0, 0, 1)},
		},
		{file: "apiserver-kubelet", name: "kube-apiserver-kubelet-client", group: "system:masters", noKubeconfig: true},
		{file: "admin", name: "admin", group: "system:masters"},
		{file: "kube-controller-manager", name: "system:kube-controller-manager"},
		{file: "kube-scheduler", name: "system:kube-scheduler"},
		{file: "kube-proxy", name: "system:kube-proxy"},
	}
	// A node that joins later has its certificate already.
	o := c.Plan.Options
	o.Nodes = maxNodes
	for _, n := range newPlan(o).Nodes {
		id := identity{file: n.Name, name: "system:node:" + n.Name, group: "system:nodes", names: []string{n.Name}}
		for _, a := range n.Addrs() {
			id.ips = append(id.ips, a.AsSlice())
		}
		all = append(all, id)
	}
	return all
}

// writePKI makes an authority and everybody's keys, certificates and
// kubeconfigs below STATE/pki.
func (c *Cluster) writePKI() error {
	ca, err := newAuthority()
	if err != nil {
		return err
	}
	if err := c.writePEM("ca.crt", "CERTIFICATE", ca.cert.Raw); err != nil {
		return err
	}
	if err := c.writeKey("ca.key", ca.key); err != nil {
		return err
	}
	if err := c.writeServiceAccountKey(); err != nil {
		return err
	}
	for _, id := range c.identities() {
		if err := c.writeIdentity(ca, id); err != nil {
			return fmt.Errorf("certificate of %s: %w", id.file, err)
		}
	}
	return nil
}

// writeServiceAccountKey makes what signs and what verifies the tokens of
// service accounts.
func (c *Cluster) writeServiceAccountKey() error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return err
	}
	if err := c.writePEM("sa.pub", "PUBLIC KEY", public); err != nil {
		return err
	}
	return c.writeKey("sa.key", key)
}

func newAuthority() (authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return authority{}, err
	}
	template := certificate(pkix.Name{CommonName: "podnet-e2e"})
	template.IsCA, template.BasicConstraintsValid = true, true
	template.KeyUsage |= x509.KeyUsageCertSign
	raw, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return authority{}, err
	}
	cert, err := x509.ParseCertificate(raw)
	return authority{cert: cert, key: key}, err
}

func certificate(subject pkix.Name) *x509.Certificate {
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		panic(err) // crypto/rand does not fail
	}
	return &x509.Certificate{
		SerialNumber: serial, Subject: subject,
		// An hour back: nothing here fails over a clock that was set.
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(certificateLife),
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
	}
}

// writeIdentity makes one certificate, and a kubeconfig that uses it.
func (c *Cluster) writeIdentity(ca authority, id identity) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	subject := pkix.Name{CommonName: id.name}
	if id.group != "" {
		subject.Organization = []string{id.group}
	}
	template := certificate(subject)
	template.DNSNames, template.IPAddresses = id.names, id.ips
	raw, err := x509.CreateCertificate(rand.Reader, template, ca.cert, key.Public(), ca.key)
	if err != nil {
		return err
	}
	if err := c.writePEM(id.file+".crt", "CERTIFICATE", raw); err != nil {
		return err
	}
	if err := c.writeKey(id.file+".key", key); err != nil {
		return err
	}
	if id.noKubeconfig {
		return nil
	}
	return statefile.WriteYAML(c.kubeconfig(id.file), c.kubeconfigOf(id.file))
}

func (c *Cluster) writeKey(name string, key crypto.PrivateKey) error {
	raw, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	return c.writePEM(name, "PRIVATE KEY", raw)
}

func (c *Cluster) writePEM(name, kind string, raw []byte) error {
	return statefile.Write(c.path("pki", name), pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: raw}))
}
