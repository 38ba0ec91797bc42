package probers

import (
	"net/netip"
	"testing"
	"time"
)

func TestQuick(t *testing.T) {
	near, far := pair(t)
	far.listen(t, "tcp", ":9798")
	e := near.engine(t)
	for _, to := range []string{"10.9.0.2:9798", "[fd09::2]:9798", "10.9.0.2:1", "[fd09::2]:1", "10.9.0.77:1", "10.8.0.1:1"} {
		for _, k := range []Kind{ICMP, TCP} {
			for range 2 {
				r := near.probe(t, e, Probe{Tag: 7, Kind: k, To: netip.MustParseAddrPort(to), Timeout: time.Second})
				t.Logf("%s %s %+v", k, to, r)
			}
		}
	}
	t.Logf("%+v", e.Stats())
}
