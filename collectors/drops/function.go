package drops

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
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
	found := make(map[uint64]symbol)
	for _, a := range addresses {
		if _, ok := f.names[a]; !ok {
			found[a] = symbol{}
		}
	}
	if len(found) == 0 {
		return nil
	}
	file, err := os.Open(f.path)
	if err != nil {
		return fmt.Errorf("kernel symbols: %w", err)
	}
	defer file.Close()
	if err := findSymbols(file, found); err != nil {
		return fmt.Errorf("kernel symbols: %s: %w", f.path, err)
	}
	for a, s := range found {
		if s.name == "" {
			s.name = unknown
		}
		f.names[a] = s.name
	}
	return nil
}

// symbol is a function of the kernel and where it begins.
type symbol struct {
	start uint64
	name  string
}

// findSymbols sets each address in found to the last function that begins at
// or before it. Lines are an address in hexadecimal, a type, a name, and for
// modules "[module]"; types t, T, w and W are code. Suffixes that the compiler
// added to the name (".isra.0", ".cold") are left out.
func findSymbols(r io.Reader, found map[uint64]symbol) error {
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		start, name, ok := parseSymbol(lines.Bytes())
		if !ok {
			continue
		}
		for a, best := range found {
			if start <= a && start > best.start {
				found[a] = symbol{start, string(name)}
			}
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
