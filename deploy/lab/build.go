package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// program is one that the lab runs and can build.
type program struct {
	name   string
	path   string // of the binary, below the checkout
	cmd    []string
	always bool // built even if it is there: its source is what is being worked on
}

// programs returns what the lab runs, built as the Makefile does.
func programs() []program {
	tool := func(name, module, pkg string) program {
		out, err := filepath.Rel(module, filepath.Join("bin", name))
		if err != nil {
			panic(err) // both are relative and written here
		}
		return program{name: name, path: filepath.Join("bin", name), cmd: []string{
			"go", "build", "-C", module, "-tags", "remove_all_sd", "-trimpath", "-ldflags=-s -w", "-o", out, pkg,
		}}
	}
	exporter := []string{"go", "build", "-trimpath", "-o", "podnet_exporter", "./exporter"}
	if _, err := exec.LookPath("make"); err == nil {
		exporter = []string{"make", "--no-print-directory", "build"} // which also tells it its version
	}
	return []program{
		{name: "podnet_exporter", path: "podnet_exporter", always: true, cmd: exporter},
		tool("prometheus", "tools", "github.com/prometheus/prometheus/cmd/prometheus"),
		tool("alertmanager", "tools/alertmanager", "github.com/prometheus/alertmanager/cmd/alertmanager"),
		tool("coredns", "tools/coredns", "."),
	}
}

// build makes the programs that are missing, one after the other, and says how
// it goes.
func (l *Lab) build(ctx context.Context) error {
	for _, p := range programs() {
		if p.name == "podnet_exporter" && l.NoAgents || p.name == "coredns" && l.NoDNS {
			continue
		}
		_, err := os.Stat(filepath.Join(l.Repo, p.path))
		if err == nil && !p.always {
			continue
		}
		if err := l.buildOne(ctx, p, err != nil); err != nil {
			return err
		}
	}
	return nil
}

// buildOne runs a program's build. It writes a line when it begins a first build, which
// takes long, and one every 10 s while it lasts.
func (l *Lab) buildOne(ctx context.Context, p program, first bool) error {
	start := time.Now()
	if first {
		fmt.Fprintf(l.Out, "building %s from source; the first time takes minutes\n", p.name)
	}
	cmd := exec.CommandContext(ctx, p.cmd[0], p.cmd[1:]...)
	cmd.Dir = l.Repo
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	done := make(chan error, 1)
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("build %s: %w", p.name, err)
	}
	go func() { done <- cmd.Wait() }()
	tick := time.NewTicker(10 * time.Second)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			fmt.Fprintf(l.Out, "  still building %s: %.0f s\n", p.name, time.Since(start).Seconds())
		case err := <-done:
			if err != nil {
				return fmt.Errorf("build %s: %w\n%s", p.name, err, output.Bytes())
			}
			if took := time.Since(start); first || took > 2*time.Second {
				fmt.Fprintf(l.Out, "built %s: %.0f s\n", p.name, took.Seconds())
			}
			return nil
		}
	}
}
