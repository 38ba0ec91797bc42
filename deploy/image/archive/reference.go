package archive

import (
	"fmt"
	"regexp"
	"strings"
)

// What engines put in front of a name without a registry, and of one without a
// folder. Source: github.com/distribution/reference.
const (
	defaultRegistry = "docker.io"
	defaultFolder   = "library"
)

// Source: github.com/opencontainers/distribution-spec, "Pulling manifests".
const (
	repositoryPattern = `^[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*$`
	tagPattern        = `^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$`
)

// Reference returns the full reference that engines make of NAME:TAG. It is
// what an image has to be imported as so that a Pod's "image: NAME:TAG" finds
// it: containerd compares full references only.
func Reference(name string) (string, error) {
	repository, tag, found := cutTag(name)
	if !found || !regexp.MustCompile(tagPattern).MatchString(tag) {
		return "", fmt.Errorf("reference %q has no usable tag; wanted NAME:TAG, the tag at most 128 letters, digits, '.', '_' and '-'", name)
	}
	registry, rest, found := strings.Cut(repository, "/")
	if !found || !strings.ContainsAny(registry, ".:") && registry != "localhost" {
		registry, rest = defaultRegistry, repository
	}
	if !regexp.MustCompile(repositoryPattern).MatchString(rest) {
		return "", fmt.Errorf("reference %q has no usable name; wanted lower-case letters and digits, with '.', '_', '-' and '/' between them", name)
	}
	if registry == defaultRegistry && !strings.Contains(rest, "/") {
		rest = defaultFolder + "/" + rest
	}
	return registry + "/" + rest + ":" + tag, nil
}

// cutTag splits a reference at the colon of its tag, which is not that of a
// registry's port.
func cutTag(name string) (repository, tag string, found bool) {
	colon := strings.LastIndexByte(name, ':')
	if colon <= strings.LastIndexByte(name, '/') {
		return name, "", false
	}
	return name[:colon], name[colon+1:], true
}

// Tag returns the version as a tag: what a tag cannot hold becomes '-'.
func Tag(version string) string {
	tag := regexp.MustCompile(`[^a-zA-Z0-9._-]`).ReplaceAllString(version, "-")
	return tag[:min(len(tag), 128)]
}
