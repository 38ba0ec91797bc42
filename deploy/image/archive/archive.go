// Package archive writes container images without a container engine.
//
// What it writes is an OCI image layout and a docker-archive in one tar file,
// as Docker itself saves images: `ctr images import`, `nerdctl load`, `podman
// load` and `docker load` all take it. Equal input gives equal bytes.
package archive

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"
)

// Image is one image for one or more platforms.
type Image struct {
	// Name is the reference to import it as, NAME:TAG with or without a
	// registry in front. Without one it is what a Pod's image of that name
	// means, the default registry of all engines.
	Name    string
	Created time.Time // to the second; also the time of every file in it
	Config  Config

	// Platforms has at least one. Engines that know no image of several
	// platforms (docker load without the containerd store) take the first.
	Platforms []Platform
}

// Config is how containers of the image run.
type Config struct {
	User       string // UID:GID; "" is root
	Env        []string
	Entrypoint []string
	Cmd        []string
	Ports      []string // "9797/tcp": for people, nothing is opened
	WorkingDir string
	Labels     map[string]string
}

// Platform is what the image holds for one architecture.
type Platform struct {
	OS, Architecture string // as Go and OCI name them: linux, arm64
	Files            []File
}

// File is a regular file of the image. Its folders are made, its owner is
// root.
type File struct {
	Path    string // absolute
	Mode    fs.FileMode
	Content []byte
}

// Write writes the archive of an image.
func Write(w io.Writer, image Image) error {
	if err := check(image); err != nil {
		return fmt.Errorf("image %q: %w", image.Name, err)
	}
	a := newArchive(image)
	for _, p := range image.Platforms {
		if err := a.addPlatform(p); err != nil {
			return fmt.Errorf("image %q: %s/%s: %w", image.Name, p.OS, p.Architecture, err)
		}
	}
	if err := a.finish(); err != nil {
		return fmt.Errorf("image %q: %w", image.Name, err)
	}
	return writeTar(w, a.files, image.Created)
}

// check reports what makes an image that no engine takes.
func check(image Image) error {
	if _, err := Reference(image.Name); err != nil {
		return err
	}
	if len(image.Platforms) == 0 {
		return errors.New("no platforms")
	}
	seen := make(map[string]bool)
	for _, p := range image.Platforms {
		name := p.OS + "/" + p.Architecture
		if p.OS == "" || p.Architecture == "" || seen[name] {
			return fmt.Errorf("platform %q is incomplete or there twice", name)
		}
		seen[name] = true
		for _, f := range p.Files {
			if !path.IsAbs(f.Path) || path.Clean(f.Path) != f.Path || f.Path == "/" {
				return fmt.Errorf("file %q is not an absolute path of a file", f.Path)
			}
		}
	}
	return nil
}

// layer returns the compressed layer with the files of a platform, and the
// digest of what it is when unpacked.
func layer(files []File, created time.Time) (compressed []byte, unpacked digest, err error) {
	var plain bytes.Buffer
	if err := writeTar(&plain, files, created); err != nil {
		return nil, "", err
	}
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed) // without name and time
	if _, err := z.Write(plain.Bytes()); err != nil {
		return nil, "", err
	}
	if err := z.Close(); err != nil {
		return nil, "", err
	}
	return packed.Bytes(), digestOf(plain.Bytes()), nil
}

// writeTar writes files, each after the folders that it needs, sorted by path.
func writeTar(w io.Writer, files []File, created time.Time) error {
	files = slices.SortedFunc(slices.Values(files), func(a, b File) int { return strings.Compare(a.Path, b.Path) })
	t := tar.NewWriter(w)
	made := make(map[string]bool)
	for _, f := range files {
		for _, folder := range foldersOf(f.Path) {
			if made[folder] {
				continue
			}
			made[folder] = true
			header := tar.Header{Typeflag: tar.TypeDir, Name: folder[1:] + "/", Mode: 0o755, ModTime: created.UTC().Truncate(time.Second)}
			if err := t.WriteHeader(&header); err != nil {
				return fmt.Errorf("folder %s: %w", folder, err)
			}
		}
		header := tar.Header{
			Typeflag: tar.TypeReg, Name: f.Path[1:], Mode: int64(f.Mode.Perm()), Size: int64(len(f.Content)),
			ModTime: created.UTC().Truncate(time.Second),
		}
		if err := t.WriteHeader(&header); err != nil {
			return fmt.Errorf("file %s: %w", f.Path, err)
		}
		if _, err := t.Write(f.Content); err != nil {
			return fmt.Errorf("file %s: %w", f.Path, err)
		}
	}
	return t.Close()
}

// foldersOf returns the folders above a file, the outermost first, without the
// root.
func foldersOf(file string) []string {
	var folders []string
	for dir := path.Dir(file); dir != "/"; dir = path.Dir(dir) {
		folders = append(folders, dir)
	}
	slices.Reverse(folders)
	return folders
}
