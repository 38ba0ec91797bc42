package drops

import (
	"slices"
	"strings"
	"testing"

	"github.com/cilium/ebpf/btf"
	"github.com/google/go-cmp/cmp"
)

// kernelReasons returns the drop reasons of the running kernel.
func kernelReasons(t *testing.T) *reasons {
	t.Helper()
	spec, err := loadBTF(btf.NewCache(), "")
	if err != nil {
		t.Skip(err)
	}
	r, err := newReasons(spec)
	if err != nil {
		t.Skip(err)
	}
	return r
}

func TestEveryReasonOfThisKernelHasAClass(t *testing.T) {
	var unclassed []string
	for _, name := range kernelReasons(t).names {
		if strings.Contains(name, "SUBSYS") || strings.HasPrefix(name, "RX_") || strings.HasPrefix(name, "OVS_") {
			continue
		}
		if _, ok := classIn(name); !ok {
			unclassed = append(unclassed, name)
		}
	}
	slices.Sort(unclassed)
	// What has no reason cannot have a class.
	if diff := cmp.Diff([]string{notSpecified}, unclassed); diff != "" {
		t.Errorf("reasons that fall to the default class (-want +got):\n%s", diff)
	}
}

func TestClassOf(t *testing.T) {
	tests := []struct {
		name, reason string
		multicast    bool
		want         class
	}{
		{"a firewall's drop is policy", "NETFILTER_DROP", false, policy},
		{"a full backlog is capacity", "CPU_BACKLOG", false, capacity},
		{"a packet larger than the MTU is config", "PKT_TOO_BIG", false, config},
		{"a missing route is routing", "IP_OUTNOROUTES", false, routing},
		{"a closed port is the application's", "NO_SOCKET", false, application},
		{"a frame for somebody else is benign", "OTHERHOST", false, benign},
		{"a firewall's drop of a group packet is policy", "NETFILTER_DROP", true, policy},
		{"no reason is config", "NOT_SPECIFIED", false, config},
		{"no reason to drop a packet of a group is benign", "NOT_SPECIFIED", true, benign},
		{"a reason of a newer kernel is config", "SOMETHING_NEW", false, config},
		{"a reason without a name is config", "reason_4711", false, config},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := classOfPacket(tt.reason, tt.multicast); got != tt.want {
				t.Errorf("class = %q; want %q", got, tt.want)
			}
		})
	}
}

func TestReasonNames(t *testing.T) {
	r := kernelReasons(t)
	byName := make(map[string]uint32)
	for number, name := range r.names {
		byName[name] = number
	}
	for _, name := range []string{notSpecified, "NO_SOCKET", "NETFILTER_DROP"} {
		number, ok := byName[name]
		if !ok {
			t.Fatalf("this kernel's BTF has no %s", name)
		}
		if got := r.name(number); got != name {
			t.Errorf("name(%d) = %q; want %q", number, got, name)
		}
	}
	for number, want := range map[uint32]string{60000: "reason_60000", 9<<16 | 3: "reason_589827"} {
		if got := r.name(number); got != want {
			t.Errorf("name(%d) = %q; want %q", number, got, want)
		}
	}

	flags := r.flags()
	for name, want := range map[string]uint8{
		"SKB_CONSUMED": flagIgnored, "SKB_NOT_DROPPED_YET": flagIgnored, "NO_SOCKET": flagNoSocket,
		"TCP_RESET": flagBenign, "NETFILTER_DROP": 0, notSpecified: 0,
	} {
		number, ok := byName[name]
		if ok && flags[number] != want {
			t.Errorf("flags of %s = %d; want %d", name, flags[number], want)
		}
	}
}
