package archive

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"time"
)

// The parts of an OCI image. Source: github.com/opencontainers/image-spec,
// image-layout.md, image-index.md, manifest.md and config.md.
const (
	typeIndex    = "application/vnd.oci.image.index.v1+json"
	typeManifest = "application/vnd.oci.image.manifest.v1+json"
	typeConfig   = "application/vnd.oci.image.config.v1+json"
	typeLayer    = "application/vnd.oci.image.layer.v1.tar+gzip"

	// By the first of these containerd names an image that it imports, by the
	// second everybody else; the second is the tag alone.
	annotationContainerd = "io.containerd.image.name"
	annotationName       = "org.opencontainers.image.ref.name"
)

type digest string // sha256:HEX

func digestOf(content []byte) digest { return digest(fmt.Sprintf("sha256:%x", sha256.Sum256(content))) }

// path is where the layout has the blob, from the archive's root.
func (d digest) path() string { return "blobs/sha256/" + string(d[len("sha256:"):]) }

type descriptor struct {
	MediaType   string            `json:"mediaType"`
	Digest      digest            `json:"digest"`
	Size        int               `json:"size"`
	Annotations map[string]string `json:"annotations,omitempty"`
	Platform    *platform         `json:"platform,omitempty"`
}

type platform struct {
	Architecture string `json:"architecture"`
	OS           string `json:"os"`
}

type index struct {
	SchemaVersion int          `json:"schemaVersion"`
	MediaType     string       `json:"mediaType"`
	Manifests     []descriptor `json:"manifests"`
}

type manifest struct {
	SchemaVersion int          `json:"schemaVersion"`
	MediaType     string       `json:"mediaType"`
	Config        descriptor   `json:"config"`
	Layers        []descriptor `json:"layers"`
}

type imageConfig struct {
	platform
	Created string        `json:"created"`
	Config  runConfig     `json:"config"`
	RootFS  rootFS        `json:"rootfs"`
	History []historyLine `json:"history"`
}

type runConfig struct {
	User         string              `json:"User,omitempty"`
	ExposedPorts map[string]struct{} `json:"ExposedPorts,omitempty"`
	Env          []string            `json:"Env,omitempty"`
	Entrypoint   []string            `json:"Entrypoint,omitempty"`
	Cmd          []string            `json:"Cmd,omitempty"`
	WorkingDir   string              `json:"WorkingDir,omitempty"`
	Labels       map[string]string   `json:"Labels,omitempty"`
}

type rootFS struct {
	Type    string   `json:"type"`
	DiffIDs []digest `json:"diff_ids"`
}

type historyLine struct {
	Created   string `json:"created"`
	CreatedBy string `json:"created_by"`
}

// dockerEntry is an image in a docker-archive's manifest.json.
type dockerEntry struct {
	Config   string   `json:"Config"`
	RepoTags []string `json:"RepoTags"`
	Layers   []string `json:"Layers"`
}

// archive gathers the files of an archive.
type archive struct {
	image     Image
	files     []File
	manifests []descriptor
	docker    dockerEntry // of the first platform
}

func newArchive(image Image) *archive { return &archive{image: image} }

// addPlatform adds the layer, the configuration and the manifest of a
// platform.
func (a *archive) addPlatform(p Platform) error {
	packed, unpacked, err := layer(p.Files, a.image.Created)
	if err != nil {
		return err
	}
	content := a.addBlob(typeLayer, packed)
	config, err := a.addJSON(typeConfig, a.config(p, unpacked))
	if err != nil {
		return err
	}
	m, err := a.addJSON(typeManifest, manifest{SchemaVersion: 2, MediaType: typeManifest, Config: config, Layers: []descriptor{content}})
	if err != nil {
		return err
	}
	m.Platform = &platform{Architecture: p.Architecture, OS: p.OS}
	a.manifests = append(a.manifests, m)
	if a.docker.Config == "" {
		a.docker = dockerEntry{Config: config.Digest.path(), RepoTags: []string{a.image.Name}, Layers: []string{content.Digest.path()}}
	}
	return nil
}

func (a *archive) config(p Platform, unpacked digest) imageConfig {
	created := a.image.Created.UTC().Truncate(time.Second).Format(time.RFC3339)
	c := a.image.Config
	ports := make(map[string]struct{}, len(c.Ports))
	for _, port := range c.Ports {
		ports[port] = struct{}{}
	}
	return imageConfig{
		platform: platform{Architecture: p.Architecture, OS: p.OS},
		Created:  created,
		Config: runConfig{
			User: c.User, ExposedPorts: ports, Env: c.Env, Entrypoint: c.Entrypoint, Cmd: c.Cmd,
			WorkingDir: c.WorkingDir, Labels: c.Labels,
		},
		RootFS:  rootFS{Type: "layers", DiffIDs: []digest{unpacked}},
		History: []historyLine{{Created: created, CreatedBy: "deploy/image"}},
	}
}

// finish adds the index of the platforms and what names the image.
func (a *archive) finish() error {
	reference, err := Reference(a.image.Name)
	if err != nil {
		return err
	}
	_, tag, _ := cutTag(reference)
	top, err := a.addJSON(typeIndex, index{SchemaVersion: 2, MediaType: typeIndex, Manifests: a.manifests})
	if err != nil {
		return err
	}
	top.Annotations = map[string]string{annotationContainerd: reference, annotationName: tag}
	for name, value := range map[string]any{
		"/oci-layout":    map[string]string{"imageLayoutVersion": "1.0.0"},
		"/index.json":    index{SchemaVersion: 2, MediaType: typeIndex, Manifests: []descriptor{top}},
		"/manifest.json": []dockerEntry{a.docker},
	} {
		text, err := json.Marshal(value)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		a.files = append(a.files, File{Path: name, Mode: 0o644, Content: text})
	}
	return nil
}

func (a *archive) addJSON(mediaType string, value any) (descriptor, error) {
	text, err := json.Marshal(value)
	if err != nil {
		return descriptor{}, err
	}
	return a.addBlob(mediaType, text), nil
}

// addBlob adds content under its digest, once.
func (a *archive) addBlob(mediaType string, content []byte) descriptor {
	d := descriptor{MediaType: mediaType, Digest: digestOf(content), Size: len(content)}
	name := "/" + d.Digest.path()
	for _, f := range a.files {
		if f.Path == name {
			return d
		}
	}
	a.files = append(a.files, File{Path: name, Mode: 0o644, Content: content})
	return d
}
