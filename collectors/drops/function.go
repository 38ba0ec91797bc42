package drops

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
)

// unknown is the value of a label whose truth is gone or hidden.
const unknown = "unknown"

// functions names the kernel functions that addresses lie in.
//
// Source: /proc/kallsyms. It has a hundred thousand lines and more, so that it
// is read only for addresses not met before and nothing else of it is kept. A
// kernel drops packets in some hundred places.
type functions struct {
	path  string
	names map[uint64]string
}

func newFunctions(path string) *functions {
	return &functions{path: path, names: make(map[uint64]string)}
}

// name returns the function that resolve found for an address, or "unknown".
func (f *functions) name(address uint64) string {
	if name, ok := f.names[address]; ok {
		return name
	}
	return unknown
}

// resolve finds the functions of those addresses that are not known yet. One
// that is found nowhere is not looked for again: the kernel hides addresses
// (kernel.kptr_restrict), or the function was of a module that is gone.
func (f *functions) resolve(addresses []uint64) error {
	var wanted []symbol
	for _, a := range addresses {
		if _, ok := f.names[a]; !ok {
			wanted = append(wanted, symbol{address: a})
		}
	}
	if len(wanted) == 0 {
		return nil
	}
	file, err := os.Open(f.path)
	if err != nil {
		return fmt.Errorf("kernel symbols: %w", err)
	}
	defer file.Close()
	if err := findSymbols(file, wanted); err != nil {
		return fmt.Errorf("kernel symbols: %s: %w", f.path, err)
	}
	for _, w := range wanted {
		f.names[w.address] = unknown
		if len(w.name) > 0 {
			f.names[w.address] = string(w.name)
		}
	}
	return nil
}

// errHidden is why functions have no names.
var errHidden = errors.New("kernel hides where its functions are, so drops of probes are reported without the function: give the agent CAP_SYSLOG")

// visible returns errHidden if the kernel shows only zeros for addresses to
// this process, and an error if it shows nothing at all. Where it shows them to
// nobody (kernel.kptr_restrict is 2, which the second file holds) that is not
// this process's fault, and no error.
func (f *functions) visible(restrict string) error {
	file, err := os.Open(f.path)
	if err != nil {
		return fmt.Errorf("kernel symbols: %w", err)
	}
	defer file.Close()
	// At the beginning are variables of each CPU, whose addresses are small
	// numbers; a few thousand lines on, all are addresses.
	const enough = 10_000
	lines := bufio.NewScanner(file)
	for n := 0; n < enough && lines.Scan(); n++ {
		if _, _, ok := parseSymbol(lines.Bytes()); ok {
			return nil
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("kernel symbols: %s: %w", f.path, err)
	}
	if value, err := os.ReadFile(restrict); err == nil && string(bytes.TrimSpace(value)) == "2" {
		return nil
	}
	return errHidden
}

// symbol is the function that an address lies in, and where that begins.
type symbol struct {
	address uint64
	start   uint64
	name    []byte
}

// findSymbols completes each symbol with the last function that begins at or
// before its address. Lines are an address in hexadecimal, a type, a name, and
// for modules "[module]"; types t, T, w and W are code. Suffixes that the
// compiler added to the name (".isra.0", ".cold") are left out.
//
// The lines are many and nearly sorted, so that a name is not kept with all
// addresses behind it, but with the next one; it goes on to the others last.
func findSymbols(r io.Reader, wanted []symbol) error {
	slices.SortFunc(wanted, func(a, b symbol) int { return cmp.Compare(a.address, b.address) })
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		start, name, ok := parseSymbol(lines.Bytes())
		if !ok {
			continue
		}
		next, _ := slices.BinarySearchFunc(wanted, start, func(w symbol, start uint64) int { return cmp.Compare(w.address, start) })
		if next < len(wanted) && start > wanted[next].start {
			wanted[next].start, wanted[next].name = start, append(wanted[next].name[:0], name...)
		}
	}
	for i := 1; i < len(wanted); i++ {
		if before := wanted[i-1]; before.start > wanted[i].start {
			wanted[i].start, wanted[i].name = before.start, before.name
		}
	}
	return lines.Err()
}

func parseSymbol(line []byte) (start uint64, name []byte, ok bool) {
	address, rest, ok := bytes.Cut(line, []byte(" "))
	if !ok || len(rest) < 3 || rest[1] != ' ' || !bytes.ContainsRune([]byte("tTwW"), rune(rest[0])) {
		return 0, nil, false
	}
	start, err := strconv.ParseUint(string(address), 16, 64)
	if err != nil || start == 0 {
		return 0, nil, false
	}
	name = rest[2:]
	if end := bytes.IndexAny(name, "\t ."); end > 0 {
		name = name[:end]
	}
	return start, name, true
}
