package process

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestLogTailGivesTheLastLines(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.log")
	text := strings.Repeat("old\n", 5000) + strings.Repeat("new\n", 14) + "last\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	want := strings.Repeat("  new\n", 14) + "  last"
	if diff := cmp.Diff(want, LogTail(path)); diff != "" {
		t.Error(diff)
	}
	if got := LogTail(path + "2"); !strings.Contains(got, "no such file") {
		t.Errorf("without a log: %q", got)
	}
}
