package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"time"

	"github.com/podnet-exporter/podnet_exporter/deploy/image/archive"
	"github.com/podnet-exporter/podnet_exporter/deploy/internal/statefile"
)

// writeImages makes the images that every node imports when it boots: there is
// no registry.
func (c *Cluster) writeImages(ctx context.Context) error {
	pause := c.path("images", "pause")
	if err := c.command(ctx, "go", "build", "-trimpath", "-ldflags=-s -w", "-o", pause, "./deploy/e2e/pause"); err != nil {
		return err
	}
	if err := c.writePause(pause); err != nil {
		return err
	}
	return c.command(ctx, "go", "run", "./deploy/image", "--platform=linux/"+runtime.GOARCH,
		"--name="+productImage, "--release="+productTag, "--output="+c.path("images", "podnet_exporter.tar"))
}

// The name of podnet_exporter's image in the cluster.
const (
	productImage = "podnet.test/podnet_exporter"
	productTag   = "e2e"
)

// writePause makes the image of a pod's first container.
func (c *Cluster) writePause(binary string) error {
	content, err := os.ReadFile(binary)
	if err != nil {
		return fmt.Errorf("image: %w", err)
	}
	var b bytes.Buffer
	err = archive.Write(&b, archive.Image{
		Name: pauseImage, Created: time.Unix(0, 0), Config: archive.Config{Entrypoint: []string{"/pause"}},
		Platforms: []archive.Platform{{
			OS: "linux", Architecture: runtime.GOARCH,
			Files: []archive.File{{Path: "/pause", Mode: 0o755, Content: content}},
		}},
	})
	if err != nil {
		return err
	}
	return statefile.Write(c.path("images", "pause.tar"), b.Bytes())
}

// build makes every program that the cluster runs; what is there already takes
// no time.
func (c *Cluster) build(ctx context.Context) error {
	cmd := exec.CommandContext(ctx, "make", "--no-print-directory", "e2e-tools")
	cmd.Dir, cmd.Stdout, cmd.Stderr = c.Repo, c.Out, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("build: %w", err)
	}
	return nil
}

// command runs a program in the sources' folder; its output is in the error.
func (c *Cluster) command(ctx context.Context, argv ...string) error {
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Dir, cmd.Env = c.Repo, append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s %s: %w: %s", argv[0], argv[1], err, out)
	}
	return nil
}
