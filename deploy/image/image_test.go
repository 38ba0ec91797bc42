package main

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/podnet-exporter/podnet_exporter/deploy/image/archive"
)

// TestEqualSourcesGiveEqualImages builds twice, the second time from a copy of
// the sources elsewhere, whose files are newer.
func TestEqualSourcesGiveEqualImages(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the program twice")
	}
	repo := filepath.Join("..", "..")
	original, err := os.ReadFile(makeImage(t, repo))
	if err != nil {
		t.Fatal(err)
	}
	elsewhere := t.TempDir()
	copySources(t, repo, elsewhere)
	t.Setenv("TZ", "Pacific/Chatham")
	again, err := os.ReadFile(makeImage(t, elsewhere))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(original, again) {
		t.Errorf("two builds of the same sources differ: %d and %d bytes", len(original), len(again))
	}
}

// makeImage returns the path of the archive that is made of a folder's sources
// for this machine's platform.
func makeImage(t *testing.T, repo string) string {
	t.Helper()
	output := filepath.Join(t.TempDir(), "image.tar")
	err := run(t.Context(), []string{
		"--repo", repo, "--release", "1.2.3", "--revision", "abc", "--created", "2026-11-20T12:00:00+01:00",
		"--platform", "linux/" + runtime.GOARCH, "--output", output,
	}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	return output
}

// copySources copies what the program is made of.
func copySources(t *testing.T, from, to string) {
	t.Helper()
	files, err := exec.Command("git", "-C", from, "ls-files", "go.mod", "go.sum", "exporter", "probers", "collectors").Output()
	if err != nil {
		t.Skipf("the sources are not in git, so nobody knows which files they are: %v", err)
	}
	for _, name := range strings.Fields(string(files)) {
		content, err := os.ReadFile(filepath.Join(from, name))
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(to, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// TestDockerfileMakesTheSameImage compares what the two ways of making the
// image say of it.
func TestDockerfileMakesTheSameImage(t *testing.T) {
	s := source{version: "$VERSION", revision: "$REVISION"}
	want := s.image(imageName).Config
	want.Labels["org.opencontainers.image.created"] = "$CREATED"

	got := readDockerfile(t, filepath.Join("..", "Dockerfile"))
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("deploy/Dockerfile is unlike `make image` (-make +Dockerfile):\n%s", diff)
	}
}

// readDockerfile reads what the last stage sets.
func readDockerfile(t *testing.T, path string) archive.Config {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	_, stage, found := strings.Cut(string(text), "\nFROM scratch\n")
	if !found {
		t.Fatalf("%s: no stage from scratch", path)
	}
	c := archive.Config{Labels: make(map[string]string)}
	for line := range strings.Lines(strings.ReplaceAll(stage, "\\\n", " ")) {
		word, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch word {
		case "LABEL":
			for _, pair := range regexp.MustCompile(`(\S+)="([^"]*)"`).FindAllStringSubmatch(rest, -1) {
				c.Labels[pair[1]] = pair[2]
			}
		case "USER":
			c.User = rest
		case "EXPOSE":
			c.Ports = strings.Fields(rest)
		case "ENTRYPOINT":
			c.Entrypoint = regexp.MustCompile(`[^][", ]+`).FindAllString(rest, -1)
		}
	}
	return c
}

func TestImageOfSourcesWithoutTimeIsOf1970(t *testing.T) {
	image := source{version: "1+2", created: "unknown"}.image("a/b")
	if want := "a/b:1-2"; image.Name != want {
		t.Errorf("Name = %q; want %q", image.Name, want)
	}
	if !image.Created.Equal(time.Unix(0, 0)) {
		t.Errorf("Created = %s; want the beginning of time", image.Created)
	}
}

func TestBuildRefusesPlatformWithoutArchitecture(t *testing.T) {
	err := run(t.Context(), []string{"--platform", "linux", "--output", filepath.Join(t.TempDir(), "x")}, io.Discard)
	if err == nil || !strings.Contains(err.Error(), "linux/arm64") {
		t.Errorf("run() = %v; want an error that shows what a platform is", err)
	}
}
