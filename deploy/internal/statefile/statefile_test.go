package statefile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

type counter struct{ First, Count int }

func TestChangesOfManyAreAllKept(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.json")
	if _, err := Read[counter](path); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("without a file: %v", err)
	}
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if err := Change(path, counter{First: 7}, func(c *counter) { c.Count++ }); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if got, err := Read[counter](path); err != nil || got != (counter{First: 7, Count: 20}) {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestATornFileIsNotReplaced(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.json")
	if err := os.WriteFile(path, []byte(`{"First": 1, "Cou`), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Change(path, counter{}, func(c *counter) { c.Count++ }); err == nil {
		t.Error("a file that nobody can read was replaced")
	}
}
