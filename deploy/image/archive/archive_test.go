package archive

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// sample is an image for two platforms whose programs differ.
func sample() Image {
	files := func(program string) []File {
		return []File{
			{Path: "/program", Mode: 0o755, Content: []byte(program)},
			{Path: "/etc/podnet/example.yaml", Mode: 0o644, Content: []byte("node: n1\n")},
		}
	}
	return Image{
		Name:    "podnet-exporter/sample:1.0",
		Created: time.Date(2026, 11, 20, 12, 0, 0, 123, time.FixedZone("", 3600)),
		Config: Config{
			User: "65534:65534", Entrypoint: []string{"/program"}, Cmd: []string{"run"}, Env: []string{"A=b"},
			Ports: []string{"9797/tcp"}, WorkingDir: "/", Labels: map[string]string{"k": "v"},
		},
		Platforms: []Platform{
			{OS: "linux", Architecture: "amd64", Files: files("amd64 code")},
			{OS: "linux", Architecture: "arm64", Files: files("arm64 code")},
		},
	}
}

func TestWriteIsAnImageForEveryPlatform(t *testing.T) {
	files := written(t, sample())

	var layout map[string]string
	decode(t, files["oci-layout"], &layout)
	if layout["imageLayoutVersion"] != "1.0.0" {
		t.Errorf("oci-layout = %v", layout)
	}
	var top index
	decode(t, files["index.json"], &top)
	if len(top.Manifests) != 1 || top.Manifests[0].MediaType != typeIndex {
		t.Fatalf("index.json = %+v; want one entry, the index of the platforms", top)
	}
	want := map[string]string{
		annotationContainerd: "docker.io/podnet-exporter/sample:1.0",
		annotationName:       "1.0",
	}
	if diff := cmp.Diff(want, top.Manifests[0].Annotations); diff != "" {
		t.Errorf("names of the image (-want +got):\n%s", diff)
	}
	var platforms index
	decode(t, blob(t, files, top.Manifests[0]), &platforms)
	got := make(map[string]map[string]string)
	for _, m := range platforms.Manifests {
		got[m.Platform.OS+"/"+m.Platform.Architecture] = unpack(t, files, m)
	}
	content := func(program string) map[string]string {
		return map[string]string{
			"etc/": "0755 ", "etc/podnet/": "0755 ", "etc/podnet/example.yaml": "0644 node: n1\n", "program": "0755 " + program,
		}
	}
	if diff := cmp.Diff(map[string]map[string]string{"linux/amd64": content("amd64 code"), "linux/arm64": content("arm64 code")}, got); diff != "" {
		t.Errorf("files of the image (-want +got):\n%s", diff)
	}
}

func TestWriteIsADockerArchiveOfTheFirstPlatform(t *testing.T) {
	files := written(t, sample())

	var entries []dockerEntry
	decode(t, files["manifest.json"], &entries)
	if len(entries) != 1 || len(entries[0].Layers) != 1 {
		t.Fatalf("manifest.json = %+v; want one image with one layer", entries)
	}
	if diff := cmp.Diff([]string{"podnet-exporter/sample:1.0"}, entries[0].RepoTags); diff != "" {
		t.Errorf("RepoTags (-want +got):\n%s", diff)
	}
	var config imageConfig
	decode(t, files[entries[0].Config], &config)
	want := imageConfig{
		platform: platform{Architecture: "amd64", OS: "linux"},
		Created:  "2026-11-20T11:00:00Z",
		Config: runConfig{
			User: "65534:65534", ExposedPorts: map[string]struct{}{"9797/tcp": {}}, Env: []string{"A=b"},
			Entrypoint: []string{"/program"}, Cmd: []string{"run"}, WorkingDir: "/", Labels: map[string]string{"k": "v"},
		},
		RootFS:  rootFS{Type: "layers", DiffIDs: []digest{digestOf(inflate(t, files[entries[0].Layers[0]]))}},
		History: []historyLine{{Created: "2026-11-20T11:00:00Z", CreatedBy: "deploy/image"}},
	}
	if diff := cmp.Diff(want, config, cmp.AllowUnexported(imageConfig{})); diff != "" {
		t.Errorf("configuration (-want +got):\n%s", diff)
	}
}

func TestWriteGivesEqualBytesWhateverTheOrder(t *testing.T) {
	first, second := sample(), sample()
	for i := range second.Platforms {
		files := second.Platforms[i].Files
		files[0], files[1] = files[1], files[0]
	}
	second.Created = second.Created.Add(time.Millisecond).In(time.FixedZone("", -7200)) // the same second
	var a, b bytes.Buffer
	if err := Write(&a, first); err != nil {
		t.Fatal(err)
	}
	if err := Write(&b, second); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(a.Bytes(), b.Bytes()) {
		t.Error("the same image gave two archives")
	}
	second.Platforms[1].Files[0].Content = []byte("other")
	b.Reset()
	if err := Write(&b, second); err != nil {
		t.Fatal(err)
	}
	if bytes.Equal(a.Bytes(), b.Bytes()) {
		t.Error("another image gave the same archive")
	}
}

func TestWriteRefuses(t *testing.T) {
	tests := []struct {
		name   string
		change func(*Image)
		want   string // in the error
	}{
		{"a name without a tag", func(i *Image) { i.Name = "podnet-exporter/sample" }, "no usable tag"},
		{"no platform", func(i *Image) { i.Platforms = nil }, "no platforms"},
		{"a platform twice", func(i *Image) { i.Platforms[1].Architecture = "amd64" }, "linux/amd64"},
		{"a platform without a name", func(i *Image) { i.Platforms[0].OS = "" }, "incomplete"},
		{"a relative file", func(i *Image) { i.Platforms[0].Files[0].Path = "program" }, "absolute"},
		{"a file that leaves the image", func(i *Image) { i.Platforms[0].Files[0].Path = "/../program" }, "absolute"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			image := sample()
			tt.change(&image)
			err := Write(io.Discard, image)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Write() = %v; want an error with %q", err, tt.want)
			}
		})
	}
}

func TestReference(t *testing.T) {
	tests := []struct {
		name, want string // "" is refused
	}{
		{"podnet-exporter/podnet_exporter:0.1.0", "docker.io/podnet-exporter/podnet_exporter:0.1.0"},
		{"pause:1", "docker.io/library/pause:1"},
		{"docker.io/pause:1", "docker.io/library/pause:1"},
		{"localhost/pause:1", "localhost/pause:1"},
		{"registry.example:5000/a/b:1", "registry.example:5000/a/b:1"},
		{"registry.example:5000/a/b", ""},
		{"pause", ""},
		{"Pause:1", ""},
		{"pause:a+b", ""},
		{"pause:", ""},
		{"/pause:1", ""},
		{"", ""},
	}
	for _, tt := range tests {
		got, err := Reference(tt.name)
		if got != tt.want || (err == nil) != (tt.want != "") {
			t.Errorf("Reference(%q) = %q, %v; want %q", tt.name, got, err, tt.want)
		}
	}
}

func TestTag(t *testing.T) {
	for version, want := range map[string]string{
		"v0.1.0-3-gabc-dirty":    "v0.1.0-3-gabc-dirty",
		"0.1.0+build":            "0.1.0-build",
		strings.Repeat("a", 200): strings.Repeat("a", 128),
	} {
		if got := Tag(version); got != want {
			t.Errorf("Tag(%q) = %q; want %q", version, got, want)
		}
	}
}

// written returns the files of the image's archive by their names.
func written(t *testing.T, image Image) map[string][]byte {
	t.Helper()
	var out bytes.Buffer
	if err := Write(&out, image); err != nil {
		t.Fatal(err)
	}
	files := make(map[string][]byte)
	for r := tar.NewReader(&out); ; {
		header, err := r.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		if files[header.Name], err = io.ReadAll(r); err != nil {
			t.Fatal(err)
		}
	}
}

// blob returns the content that d describes, and checks that it is that.
func blob(t *testing.T, files map[string][]byte, d descriptor) []byte {
	t.Helper()
	content, ok := files[d.Digest.path()]
	if !ok || digestOf(content) != d.Digest || len(content) != d.Size {
		t.Fatalf("blob %+v is missing or is not what it says", d)
	}
	return content
}

// unpack returns mode and content of every file in the layer of a manifest.
func unpack(t *testing.T, files map[string][]byte, d descriptor) map[string]string {
	t.Helper()
	var m manifest
	decode(t, blob(t, files, d), &m)
	var config imageConfig
	decode(t, blob(t, files, m.Config), &config)
	if config.Architecture != d.Platform.Architecture || config.OS != d.Platform.OS {
		t.Errorf("configuration is of %s/%s, its manifest of %+v", config.OS, config.Architecture, *d.Platform)
	}
	plain := inflate(t, blob(t, files, m.Layers[0]))
	if config.RootFS.DiffIDs[0] != digestOf(plain) {
		t.Errorf("diff_ids = %v; the layer is %s", config.RootFS.DiffIDs, digestOf(plain))
	}
	got := make(map[string]string)
	for r := tar.NewReader(bytes.NewReader(plain)); ; {
		header, err := r.Next()
		if errors.Is(err, io.EOF) {
			return got
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		if header.Uid != 0 || !header.ModTime.Equal(time.Date(2026, 11, 20, 11, 0, 0, 0, time.UTC)) {
			t.Errorf("%s: owner %d, time %s; want root and the time of the image", header.Name, header.Uid, header.ModTime)
		}
		got[header.Name] = "0" + string([]byte{'0' + byte(header.Mode>>6&7), '0' + byte(header.Mode>>3&7), '0' + byte(header.Mode&7)}) + " " + string(content)
	}
}

func inflate(t *testing.T, packed []byte) []byte {
	t.Helper()
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	plain, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return plain
}

func decode(t *testing.T, text []byte, into any) {
	t.Helper()
	if err := json.Unmarshal(text, into); err != nil {
		t.Fatalf("%v in %q", err, text)
	}
}
