// Image makes the container image of podnet_exporter without a container
// engine, for every platform in one tar file:
//
//	go run ./deploy/image --output dist/podnet_exporter.tar
//
// Equal sources give equal bytes, wherever and whenever it runs.
// deploy/Dockerfile makes the same image with an engine.
package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/alecthomas/kingpin/v2"

	"github.com/podnet-exporter/podnet_exporter/deploy/image/archive"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "image:", err)
		os.Exit(1)
	}
}

// options is what the command line says.
type options struct {
	source
	name, output string
	platforms    []string
}

// run parses the command line, builds, and writes the archive.
func run(ctx context.Context, args []string, out io.Writer) error {
	app := kingpin.New("image", "Makes the container image of podnet_exporter without a container engine.")
	app.HelpFlag.Short('h')
	var o options
	app.Flag("repo", "Folder of the sources.").Default(".").StringVar(&o.folder)
	app.Flag("release", "Version of the program, which is also the image's tag.").Default("0.1.0-dev").StringVar(&o.version)
	app.Flag("revision", "Commit of the sources.").Default("unknown").StringVar(&o.revision)
	app.Flag("created", "Time of that commit (RFC 3339), which everything in the image gets; 1970 if it is not a time.").StringVar(&o.created)
	app.Flag("ldflags", "Flags of the linker, which tell the program its version.").Default("-s -w").StringVar(&o.ldflags)
	app.Flag("name", "Name of the image without a tag.").Default(imageName).StringVar(&o.name)
	app.Flag("platform", "Platform to build for; may be repeated. docker load takes the first.").
		Default("linux/amd64", "linux/arm64").StringsVar(&o.platforms)
	app.Flag("output", "File to write.").Required().StringVar(&o.output)
	if _, err := app.Parse(args); err != nil {
		return fmt.Errorf("%w; try --help", err)
	}

	image := o.image(o.name)
	for _, p := range o.platforms {
		start := time.Now()
		built, err := o.build(ctx, p)
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "built podnet_exporter for %s: %.0f s\n", p, time.Since(start).Seconds())
		image.Platforms = append(image.Platforms, built)
	}
	return write(o.output, image, out)
}

// write writes the archive of the image to a file that is whole or not there.
func write(path string, image archive.Image, out io.Writer) error {
	var content bytes.Buffer
	if err := archive.Write(&content, image); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(path+".tmp", content.Bytes(), 0o644); err != nil {
		return err
	}
	if err := os.Rename(path+".tmp", path); err != nil {
		return err
	}
	fmt.Fprintf(out, "wrote %s: image %s, %.1f MB\n", path, image.Name, float64(content.Len())/1e6)
	return nil
}
