package drops

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"github.com/podnet-exporter/podnet_exporter/collectors"
)

//go:generate go tool -modfile=../../tools/go.mod bpf2go -cc clang-19 -strip llvm-strip-19 -cflags "-O2 -g -mcpu=v3 -Wall -Wextra -Werror" -no-global-types -type drop_key -type probe_key -type protocol -type direction kernel bpf/drops.c

// program is bpf/drops.c in the kernel, counting.
type program struct {
	objects kernelObjects
	hook    link.Link
}

// kernelTypes is the kernel's BTF: what the program's structures are found in,
// and what the tracepoint is found in.
type kernelTypes struct {
	cache *btf.Cache
	spec  *btf.Spec
}

// load brings the program into the kernel and attaches it. The error wraps
// [collectors.ErrUnsupported], since all that can be wrong is the machine, and
// says what is missing.
//
// Kernels that name drop reasons (5.17) account the memory of maps to the
// cgroup, so that the limit on locked memory need not be lifted.
func load(kernel kernelTypes, flags [256]uint8, responderPort uint16) (*program, error) {
	arguments, err := argumentsOfKfreeSkb(kernel.spec)
	if err != nil {
		return nil, unsupported(err)
	}
	if arguments < 3 {
		return nil, unsupported(errors.New("kernel gives no drop reasons (tracepoint kfree_skb has them since Linux 5.17)"))
	}
	spec, err := loadKernel()
	if err != nil {
		return nil, err
	}
	for name, value := range map[string]any{
		kernelVarReasonFlags:   flags,
		kernelVarResponderPort: responderPort,
		kernelVarHasRxSk:       arguments > 3,
	} {
		if err := spec.Variables[name].Set(value); err != nil {
			return nil, fmt.Errorf("set %s: %w", name, err)
		}
	}

	p := &program{}
	options := &ebpf.CollectionOptions{Cache: kernel.cache, Programs: ebpf.ProgramOptions{KernelTypes: kernel.spec}}
	if err := spec.LoadAndAssign(&p.objects, options); err != nil {
		return nil, unsupported(explain(err))
	}
	p.hook, err = link.AttachTracing(link.TracingOptions{Program: p.objects.KfreeSkb})
	if err != nil {
		return nil, errors.Join(unsupported(explain(err)), p.objects.Close())
	}
	return p, nil
}

func unsupported(err error) error {
	return fmt.Errorf("%w: %w", collectors.ErrUnsupported, err)
}

// explain says what an error of the kernel's means to somebody who starts the
// exporter.
func explain(err error) error {
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES) && !isRejection(err) {
		return fmt.Errorf("needs CAP_BPF and CAP_PERFMON (or CAP_SYS_ADMIN): %w", err)
	}
	return fmt.Errorf("kernel refuses the program: %w", err)
}

// isRejection tells a program that the verifier refused from one that this
// process may not load: the kernel says EACCES to both.
func isRejection(err error) bool {
	var rejection *ebpf.VerifierError
	return errors.As(err, &rejection)
}

// counts is what the program counted since it was attached, in no order.
type counts struct {
	drops  []entry[kernelDropKey]
	probes []entry[kernelProbeKey]
	missed missed
}

// missed is how many drops are in no count: because a map was full, or because
// the program was running on the same CPU already.
type missed struct {
	drops, probes, nested uint64
}

// read returns all counts, each the sum over all CPUs. They only grow. It
// fails if a map cannot be read to its end, and then returns no counts: a
// partial sum would look like a counter that was reset.
func (p *program) read() (counts, error) {
	var c counts
	err := each(p.objects.Drops, func(key kernelDropKey, packets uint64) {
		c.drops = append(c.drops, entry[kernelDropKey]{key, packets})
	})
	if err != nil {
		return counts{}, fmt.Errorf("read drops: %w", err)
	}
	err = each(p.objects.ProbeDrops, func(key kernelProbeKey, packets uint64) {
		c.probes = append(c.probes, entry[kernelProbeKey]{key, packets})
	})
	if err != nil {
		return counts{}, fmt.Errorf("read drops of probes: %w", err)
	}
	if c.missed, err = p.readMissed(); err != nil {
		return counts{}, err
	}
	return c, nil
}

func (p *program) readMissed() (missed, error) {
	var sums [2]uint64
	for i := range sums {
		var perCPU []uint64
		if err := p.objects.Overflow.Lookup(uint32(i), &perCPU); err != nil {
			return missed{}, fmt.Errorf("read overflow: %w", err)
		}
		sums[i] = sum(perCPU)
	}
	stats, err := p.objects.KfreeSkb.Stats()
	if err != nil {
		return missed{}, fmt.Errorf("read program: %w", err)
	}
	return missed{drops: sums[0], probes: sums[1], nested: stats.RecursionMisses}, nil
}

// each calls f for every entry of a per-CPU hash map.
func each[K any](m *ebpf.Map, f func(key K, packets uint64)) error {
	const batch = 512
	cpus := ebpf.MustPossibleCPU()
	keys, values := make([]K, batch), make([]uint64, batch*cpus)
	var cursor ebpf.MapBatchCursor
	for {
		n, err := m.BatchLookup(&cursor, keys, values, nil)
		if err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
			return err
		}
		for i, key := range keys[:n] {
			f(key, sum(values[i*cpus:(i+1)*cpus]))
		}
		if err != nil {
			return nil
		}
	}
}

func sum(perCPU []uint64) uint64 {
	var total uint64
	for _, n := range perCPU {
		total += n
	}
	return total
}

// forget deletes counts that can grow no more, because their namespace or node
// is gone. It must not run at the same time as read, which a deletion disturbs.
func (p *program) forget(drops []kernelDropKey, probes []kernelProbeKey) error {
	for _, key := range drops {
		if err := p.objects.Drops.Delete(key); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
			return fmt.Errorf("forget drops: %w", err)
		}
	}
	for _, key := range probes {
		if err := p.objects.ProbeDrops.Delete(key); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
			return fmt.Errorf("forget drops of probes: %w", err)
		}
	}
	return nil
}

// watchNamespace makes the program count in a namespace, or stop to.
func (p *program) watchNamespace(inode uint32, on bool) error {
	var err error
	if on {
		err = p.objects.Netns.Put(inode, uint8(1))
	} else if err = p.objects.Netns.Delete(inode); errors.Is(err, ebpf.ErrKeyNotExist) {
		err = nil
	}
	if err != nil {
		return fmt.Errorf("namespace %d: %w", inode, err)
	}
	return nil
}

// setNode tells the program which node has an address.
func (p *program) setNode(address netip.Addr, node uint32) error {
	if err := p.objects.Mesh.Put(address.As16(), node); err != nil {
		return fmt.Errorf("address %s: %w", address, err)
	}
	return nil
}

// removeNode tells the program that no node has an address any more.
func (p *program) removeNode(address netip.Addr) error {
	if err := p.objects.Mesh.Delete(address.As16()); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
		return fmt.Errorf("address %s: %w", address, err)
	}
	return nil
}

// close detaches the program and frees its maps.
func (p *program) close() error {
	return errors.Join(p.hook.Close(), p.objects.Close())
}
