// Command coredns is CoreDNS with the plugins that the lab's cluster DNS needs.
// The stock program also brings the SDKs of several clouds.
package main

import (
	"github.com/coredns/coredns/core/dnsserver"
	"github.com/coredns/coredns/coremain"

	_ "github.com/coredns/coredns/plugin/cache"
	_ "github.com/coredns/coredns/plugin/errors"
	_ "github.com/coredns/coredns/plugin/file"
	_ "github.com/coredns/coredns/plugin/forward"
	_ "github.com/coredns/coredns/plugin/health"
	_ "github.com/coredns/coredns/plugin/loadbalance"
	_ "github.com/coredns/coredns/plugin/log"
	_ "github.com/coredns/coredns/plugin/metrics"
	_ "github.com/coredns/coredns/plugin/ready"
	_ "github.com/coredns/coredns/plugin/template"
)

func main() {
	// CoreDNS reads the order of its plugins from this variable; the stock
	// order names plugins that are not in here.
	dnsserver.Directives = []string{"health", "ready", "prometheus", "errors", "log", "loadbalance", "cache", "template", "file", "forward"}
	coremain.Run()
}
