package drops

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const kallsyms = `0000000000000000 A fixed_percpu_data
ffffffff81000000 T _stext
ffffffff81000100 t nf_hook_slow
ffffffff81000200 t nft_do_chain.isra.0
ffffffff81000300 D jiffies
ffffffff82000000 T last_in_kernel
ffffffffc0000000 t xt_drop	[x_tables]
not a symbol
`

func TestFunctions(t *testing.T) {
	path := filepath.Join(t.TempDir(), "kallsyms")
	if err := os.WriteFile(path, []byte(kallsyms), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name    string
		address uint64
		want    string
	}{
		{"inside a function", 0xffffffff81000142, "nf_hook_slow"},
		{"at its start", 0xffffffff81000100, "nf_hook_slow"},
		{"the compiler's suffix is left out", 0xffffffff81000208, "nft_do_chain"},
		{"data is not a function", 0xffffffff81000310, "nft_do_chain"},
		{"a module's function", 0xffffffffc0000010, "xt_drop"},
		{"before all functions", 0x1000, "unknown"},
	}
	f := newFunctions(path)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if err := f.resolve([]uint64{tt.address}); err != nil {
				t.Fatal(err)
			}
			if got := f.name(tt.address); got != tt.want {
				t.Errorf("name(%#x) = %q; want %q", tt.address, got, tt.want)
			}
		})
	}

	t.Run("many at once", func(t *testing.T) {
		f := newFunctions(path)
		var addresses []uint64
		for _, tt := range slices.Backward(tests) {
			addresses = append(addresses, tt.address, tt.address)
		}
		if err := f.resolve(addresses); err != nil {
			t.Fatal(err)
		}
		for _, tt := range tests {
			if got := f.name(tt.address); got != tt.want {
				t.Errorf("%s: name(%#x) = %q; want %q", tt.name, tt.address, got, tt.want)
			}
		}
	})

	t.Run("the file is not read for what is known", func(t *testing.T) {
		f.path = filepath.Join(t.TempDir(), "missing")
		if err := f.resolve([]uint64{tests[0].address}); err != nil {
			t.Error(err)
		}
		if err := f.resolve([]uint64{0x4711}); err == nil {
			t.Error("resolve of a new address succeeded without a file")
		}
	})
}

func TestHiddenAddressesAreUnknown(t *testing.T) {
	path := filepath.Join(t.TempDir(), "kallsyms")
	if err := os.WriteFile(path, []byte("0000000000000000 T nf_hook_slow\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	f := newFunctions(path)
	if err := f.resolve([]uint64{0xffffffff81000142}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[uint64]string{0xffffffff81000142: unknown}, f.names); diff != "" {
		t.Errorf("names (-want +got):\n%s", diff)
	}
}

func FuzzParseSymbol(f *testing.F) {
	for _, line := range []string{"ffffffff81000100 t nf_hook_slow", "ffffffffc0 t x\t[m]", "", " ", "0 t ", "1 t .", "1 W .x"} {
		f.Add([]byte(line))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		start, name, ok := parseSymbol(line)
		if ok && (start == 0 || len(name) == 0) {
			t.Errorf("parseSymbol(%q) = %#x, %q; want an address and a name", line, start, name)
		}
	})
}

func TestFunctionsSayWhyTheyHaveNoNames(t *testing.T) {
	const hidden = "0000000000000000 A fixed_percpu_data\n0000000000000000 T _stext\n0000000000000000 t nf_hook_slow\n"
	tests := []struct {
		name, symbols, restrict string
		want                    error
	}{
		{"addresses are shown", kallsyms, "1\n", nil},
		{"hidden from this process", hidden, "1\n", errHidden},
		{"hidden, and nobody says from whom", hidden, "", errHidden},
		{"hidden from everybody", hidden, "2\n", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			folder := t.TempDir()
			write := func(name, text string) string {
				path := filepath.Join(folder, name)
				if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
				return path
			}
			got := newFunctions(write("kallsyms", tt.symbols)).visible(write("kptr_restrict", tt.restrict))
			if !errors.Is(got, tt.want) {
				t.Errorf("visible() = %v; want %v", got, tt.want)
			}
		})
	}

	t.Run("nothing is shown", func(t *testing.T) {
		missing := filepath.Join(t.TempDir(), "kallsyms")
		if err := newFunctions(missing).visible(missing); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("visible() = %v; want that there is no such file", err)
		}
	})
}
