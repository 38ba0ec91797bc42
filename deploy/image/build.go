package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/podnet-exporter/podnet_exporter/deploy/image/archive"
)

// What the image is, in it and in deploy/Dockerfile.
const (
	imageName = "podnet-exporter/podnet_exporter"
	program   = "/podnet_exporter"
	// The user of containers that are not told another: nobody. The agent is
	// told to be root, since Kubernetes gives capabilities to nobody else.
	user = "65534:65534"
)

// source is what is built.
type source struct {
	folder                     string
	version, revision, created string
	ldflags                    string
}

// image returns the image without its platforms.
func (s source) image(name string) archive.Image {
	created, err := time.Parse(time.RFC3339, s.created)
	if err != nil {
		created = time.Unix(0, 0)
	}
	return archive.Image{
		Name:    name + ":" + archive.Tag(s.version),
		Created: created,
		Config: archive.Config{
			User:       user,
			Entrypoint: []string{program},
			Ports:      []string{"9797/tcp", "9798/tcp", "9798/udp"},
			Labels: map[string]string{
				"org.opencontainers.image.title":       "podnet_exporter",
				"org.opencontainers.image.description": "Finds out why pods cannot reach each other",
				"org.opencontainers.image.source":      "https://github.com/podnet-exporter/podnet_exporter",
				"org.opencontainers.image.licenses":    "Apache-2.0",
				"org.opencontainers.image.version":     s.version,
				"org.opencontainers.image.revision":    s.revision,
				"org.opencontainers.image.created":     created.UTC().Format(time.RFC3339),
			},
		},
	}
}

// build compiles the program for a platform, OS/ARCHITECTURE.
func (s source) build(ctx context.Context, platform string) (archive.Platform, error) {
	system, architecture, ok := strings.Cut(platform, "/")
	if !ok {
		return archive.Platform{}, fmt.Errorf("platform %q: wanted OS/ARCHITECTURE, for example linux/arm64", platform)
	}
	folder, err := os.MkdirTemp("", "podnet-image-")
	if err != nil {
		return archive.Platform{}, err
	}
	defer func() { _ = os.RemoveAll(folder) }()
	binary := filepath.Join(folder, "podnet_exporter")
	// Neither the paths nor the version control of this machine get into it.
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-ldflags", s.ldflags, "-o", binary, "./exporter")
	cmd.Dir = s.folder
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS="+system, "GOARCH="+architecture)
	if output, err := cmd.CombinedOutput(); err != nil {
		return archive.Platform{}, fmt.Errorf("build for %s: %w\n%s", platform, err, output)
	}
	content, err := os.ReadFile(binary)
	if err != nil {
		return archive.Platform{}, err
	}
	return archive.Platform{OS: system, Architecture: architecture, Files: []archive.File{
		{Path: program, Mode: 0o755, Content: content},
	}}, nil
}
