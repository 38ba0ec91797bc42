// Package strictyaml reads YAML files whose every mistake is worth a message.
//
// The yaml library stops at the first unknown key that matters, knows lines
// only while it decodes, and takes "timeout: 5" for five nanoseconds. Here a
// file is read over the defaults that a struct already holds, everything that
// is wrong is reported at once, and the line of every field stays known for
// the checks of meaning that follow.
package strictyaml

import (
	"bytes"
	"errors"
	"io"
	"reflect"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Document is a file that was read: where its fields are, and what is wrong
// with it so far.
type Document struct {
	Mistakes Mistakes

	file  string
	lines map[string]int
	wrong map[string]bool // paths that have a mistake
}

// Decode reads one YAML document into the struct that into points to. Fields
// that the file does not name keep their value, and so do those with a
// mistake. File is the name for messages.
//
// Fields are named by their yaml tags. Supported are structs, slices, strings,
// bools, integers, time.Duration and netip.Addr.
func Decode(file string, data []byte, into any) *Document {
	d := &Document{file: file, lines: map[string]int{}, wrong: map[string]bool{}}
	root, err := parse(data)
	if err != nil {
		d.syntax(err)
		return d
	}
	if root != nil {
		d.value(root, reflect.ValueOf(into).Elem(), "")
	}
	return d
}

// Reject adds a mistake about the field at path, unless one is known already
// about it or what it is part of: the meaning of what could not be read is not
// worth a second message.
func (d *Document) Reject(path, text string) {
	for at := path; at != ""; at = parent(at) {
		if d.wrong[at] {
			return
		}
	}
	d.wrong[path] = true
	d.Mistakes = append(d.Mistakes, Mistake{File: d.file, Line: d.Line(path), Path: path, Text: text})
}

// Line returns the line of the field at path, or of the nearest part of the
// file that would hold it; 0 if the file is empty.
func (d *Document) Line(path string) int {
	for {
		if line, ok := d.lines[path]; ok {
			return line
		}
		if path == "" {
			return 0
		}
		path = parent(path)
	}
}

// parent returns the path of what holds the field at path, "" for the file.
func parent(path string) string { return path[:max(strings.LastIndexAny(path, ".["), 0)] }

// Named reports whether the file names the field at path, with a value or
// without.
func (d *Document) Named(path string) bool {
	_, ok := d.lines[path]
	return ok
}

// Wrong reports whether the field at path has a mistake.
func (d *Document) Wrong(path string) bool { return d.wrong[path] }

var errDocuments = errors.New("more than one YAML document; everything behind the second --- would be ignored")

// parse returns the root of the only document in data, nil if there is none.
func parse(data []byte) (*yaml.Node, error) {
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var doc, more yaml.Node
	switch err := dec.Decode(&doc); {
	case errors.Is(err, io.EOF):
		return nil, nil
	case err != nil:
		return nil, err
	}
	switch err := dec.Decode(&more); {
	case err == nil:
		return nil, errDocuments
	case !errors.Is(err, io.EOF):
		return nil, err
	}
	return doc.Content[0], nil
}

var yamlLine = regexp.MustCompile(`^line (\d+): (.*)$`)

// syntax adds the error of the yaml library, whose line is part of its text.
func (d *Document) syntax(err error) {
	m := Mistake{File: d.file, Text: strings.TrimPrefix(err.Error(), "yaml: ")}
	if parts := yamlLine.FindStringSubmatch(m.Text); parts != nil {
		m.Line, _ = strconv.Atoi(parts[1])
		m.Text = parts[2]
	}
	m.Text = "not valid YAML: " + m.Text
	if errors.Is(err, errDocuments) {
		m.Text = err.Error()
	}
	d.wrong[""] = true
	d.Mistakes = append(d.Mistakes, m)
}
