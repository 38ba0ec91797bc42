package strictyaml

import (
	"fmt"
	"reflect"
	"slices"

	"go.yaml.in/yaml/v3"
)

// Missing returns the keys of a struct type that a text does not have, by their
// paths and sorted. In a list it is enough if one element has the key. It is
// for tests of files that are to show every key.
func Missing(data []byte, typ reflect.Type) ([]string, error) {
	var doc yaml.Node
	if err := yaml.Unmarshal(data, &doc); err != nil {
		return nil, fmt.Errorf("yaml: %w", err)
	}
	there := map[string]bool{}
	keysOf(&doc, "", there)
	var missing []string
	for _, key := range keysOfType(typ, "") {
		if !there[key] {
			missing = append(missing, key)
		}
	}
	slices.Sort(missing)
	return missing, nil
}

// keysOf adds the paths of all keys below a node.
func keysOf(n *yaml.Node, at string, found map[string]bool) {
	if n.Kind != yaml.MappingNode {
		for _, child := range n.Content {
			keysOf(child, at, found)
		}
		return
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		path := join(at, n.Content[i].Value)
		found[path] = true
		keysOf(n.Content[i+1], path, found)
	}
}

// keysOfType returns the paths of all keys of a type.
func keysOfType(typ reflect.Type, at string) []string {
	if typ.Kind() == reflect.Slice {
		typ = typ.Elem()
	}
	if typ.Kind() != reflect.Struct {
		return nil
	}
	var keys []string
	for field := range typ.Fields() {
		if name := field.Tag.Get("yaml"); name != "" {
			path := join(at, name)
			keys = append(append(keys, path), keysOfType(field.Type, path)...)
		}
	}
	return keys
}
