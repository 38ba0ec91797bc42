package sources

import (
	"path/filepath"
	"strings"
	"testing"
)

func TestFindGoesUpwards(t *testing.T) {
	got, err := Find()
	if err != nil {
		t.Fatal(err)
	}
	want, err := filepath.Abs("../../..")
	if err != nil {
		t.Fatal(err)
	}
	if got != want {
		t.Errorf("Find() = %s; want %s", got, want)
	}
}

func TestFindSaysWhatToDoElsewhere(t *testing.T) {
	t.Chdir(t.TempDir())
	if got, err := Find(); err == nil || !strings.Contains(err.Error(), "--repo") {
		t.Errorf("Find() = %q, %v; want an error that names --repo", got, err)
	}
}
