package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io/fs"
	"os"
	"testing"
)

// TestPKI checks that everybody's certificate is signed by the cluster's
// authority, belongs to its key, and holds for the addresses where it is used.
func TestPKI(t *testing.T) {
	c := &Cluster{StateDir: t.TempDir()}
	c.Plan = newPlan(Options{Nodes: 3})
	if err := os.Mkdir(c.path("pki"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := c.writePKI(); err != nil {
		t.Fatal(err)
	}
	ca, err := os.ReadFile(c.pki("ca.crt"))
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(ca) {
		t.Fatal("the authority has no certificate")
	}
	for _, id := range c.identities() {
		t.Run(id.file, func(t *testing.T) {
			pair, err := tls.LoadX509KeyPair(c.pki(id.file+".crt"), c.pki(id.file+".key"))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := pair.Leaf.Verify(x509.VerifyOptions{Roots: roots, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}); err != nil {
				t.Error(err)
			}
			for _, ip := range id.ips {
				if err := pair.Leaf.VerifyHostname(ip.String()); err != nil {
					t.Error(err)
				}
			}
			if pair.Leaf.Subject.CommonName != id.name {
				t.Errorf("it is %s's, not %s's", pair.Leaf.Subject.CommonName, id.name)
			}
			_, err = os.Stat(c.kubeconfig(id.file))
			if errors.Is(err, fs.ErrNotExist) != id.noKubeconfig {
				t.Errorf("kubeconfig: %v", err)
			}
		})
	}
}
