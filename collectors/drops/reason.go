package drops

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/cilium/ebpf/btf"
)

// reasons names the kernel's drop reasons by their numbers. Both differ from
// kernel to kernel, and so are read from the running one's BTF.
//
// Source: enum skb_drop_reason (kernel: include/net/dropreason-core.h). Parts
// of the kernel have enums of their own, with the part's number in the upper
// 16 bits; those of modules are found once the module is loaded.
type reasons struct {
	names map[uint32]string
	tried map[uint32]bool // numbers that were looked for in the modules, in vain
}

// reasonEnum is an enum of drop reasons, and the module whose BTF has it when
// the part is not built into the kernel.
type reasonEnum struct {
	name, module, prefix string
}

func reasonEnums() []reasonEnum {
	return []reasonEnum{
		{name: "skb_drop_reason", prefix: "SKB_DROP_REASON_"},
		{name: "ovs_drop_reason", module: "openvswitch"},
		{name: "mac80211_drop_reason", module: "mac80211"},
	}
}

// newReasons reads the names from the kernel's BTF. It fails if the kernel has
// no drop reasons at all.
func newReasons(kernel *btf.Spec) (*reasons, error) {
	r := &reasons{names: make(map[uint32]string), tried: make(map[uint32]bool)}
	for i, e := range reasonEnums() {
		if err := r.add(kernel, e); err != nil && i == 0 {
			return nil, err
		}
	}
	return r, nil
}

func (r *reasons) add(spec *btf.Spec, e reasonEnum) error {
	var enum *btf.Enum
	if err := spec.TypeByName(e.name, &enum); err != nil {
		return fmt.Errorf("enum %s: %w", e.name, err)
	}
	for _, v := range enum.Values {
		if strings.HasSuffix(v.Name, "_MASK") || strings.HasSuffix(v.Name, "_MAX") {
			continue
		}
		r.names[uint32(v.Value)] = strings.TrimPrefix(v.Name, e.prefix)
	}
	return nil
}

// name returns the kernel's name of a reason without the prefix
// SKB_DROP_REASON_, or "reason_123" for one that the kernel does not name.
func (r *reasons) name(reason uint32) string {
	if name, ok := r.names[reason]; ok {
		return name
	}
	if reason>>16 != 0 && !r.tried[reason] {
		r.tried[reason] = true
		r.addModules()
		if name, ok := r.names[reason]; ok {
			return name
		}
	}
	return "reason_" + strconv.FormatUint(uint64(reason), 10)
}

// addModules reads the names of the parts that are loaded as modules.
func (r *reasons) addModules() {
	for _, e := range reasonEnums() {
		if e.module == "" {
			continue
		}
		spec, err := btf.LoadKernelModuleSpec(e.module)
		if err != nil {
			continue // not loaded: then the reason is not its
		}
		_ = r.add(spec, e)
	}
}

// Flags of a reason for the program in the kernel: enum reason_flag in
// bpf/drops.c.
const (
	flagIgnored  = 1
	flagBenign   = 2
	flagNoSocket = 4
)

// flags returns what the program needs to know of the reasons below 256.
func (r *reasons) flags() [256]uint8 {
	var flags [256]uint8
	for reason := range flags {
		switch name := r.name(uint32(reason)); {
		case name == "SKB_NOT_DROPPED_YET" || name == "NOT_DROPPED_YET" || name == "SKB_CONSUMED" || name == "CONSUMED":
			flags[reason] = flagIgnored
		case name == "NO_SOCKET":
			flags[reason] = flagNoSocket
		case classOf(name) == benign:
			flags[reason] = flagBenign
		}
	}
	return flags
}

// loadBTF reads the type information of the running kernel, or of the file at
// path if that is not "".
func loadBTF(cache *btf.Cache, path string) (*btf.Spec, error) {
	var spec *btf.Spec
	var err error
	if path == "" {
		spec, err = cache.Kernel()
	} else {
		spec, err = btf.LoadSpec(path)
	}
	if err != nil {
		return nil, fmt.Errorf("kernel has no BTF (CONFIG_DEBUG_INFO_BTF); the structures of packets cannot be read without it, use a kernel that was built with it: %w", err)
	}
	return spec, nil
}

// argumentsOfKfreeSkb returns how many arguments the tracepoint has in this
// kernel: skb, location, since Linux 5.17 reason, since 6.11 rx_sk.
//
// Source: typedef btf_trace_kfree_skb, a pointer to a function whose first
// argument is the tracepoint's own.
func argumentsOfKfreeSkb(spec *btf.Spec) (int, error) {
	var def *btf.Typedef
	if err := spec.TypeByName("btf_trace_kfree_skb", &def); err != nil {
		return 0, fmt.Errorf("tracepoint kfree_skb: %w", err)
	}
	pointer, ok := def.Type.(*btf.Pointer)
	if !ok {
		return 0, errors.New("tracepoint kfree_skb: its type is not a pointer")
	}
	proto, ok := pointer.Target.(*btf.FuncProto)
	if !ok {
		return 0, errors.New("tracepoint kfree_skb: its type is not a function")
	}
	return len(proto.Params) - 1, nil
}
