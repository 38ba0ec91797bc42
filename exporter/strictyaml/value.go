package strictyaml

import (
	"fmt"
	"net/netip"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"go.yaml.in/yaml/v3"
)

// value stores node n in v, which is the field at path. A key without a value
// leaves the default.
func (d *Document) value(n *yaml.Node, v reflect.Value, path string) {
	d.lines[path] = n.Line
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" {
		return
	}
	switch v.Kind() {
	case reflect.Slice:
		d.list(n, v, path)
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[netip.Addr]() {
			d.scalar(n, v, path)
			return
		}
		d.mapping(n, v, path)
	default:
		d.scalar(n, v, path)
	}
}

// mapping stores the keys of n in the fields of the struct v.
func (d *Document) mapping(n *yaml.Node, v reflect.Value, path string) {
	fields, names := fieldsOf(v)
	if n.Kind != yaml.MappingNode {
		d.Reject(path, fmt.Sprintf("want the keys %s, got %s", strings.Join(names, ", "), describe(n)))
		return
	}
	first := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, val := n.Content[i], n.Content[i+1]
		at := join(path, key.Value)
		field, known := fields[key.Value]
		line, twice := first[key.Value]
		switch {
		case !known:
			d.lines[at] = key.Line
			d.Reject(at, fmt.Sprintf("unknown key; allowed here: %s", strings.Join(names, ", ")))
		case twice:
			d.Mistakes = append(d.Mistakes, Mistake{
				File: d.file, Line: key.Line, Path: at,
				Text: fmt.Sprintf("given twice, first on line %d", line),
			})
		default:
			first[key.Value] = key.Line
			d.value(val, field, at)
		}
	}
}

// list stores the items of n in the slice v, in place of what it held.
func (d *Document) list(n *yaml.Node, v reflect.Value, path string) {
	if n.Kind != yaml.SequenceNode {
		d.Reject(path, fmt.Sprintf("want a list, got %s", describe(n)))
		return
	}
	items := reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content))
	for i, item := range n.Content {
		d.value(item, items.Index(i), path+"["+strconv.Itoa(i)+"]")
	}
	v.Set(items)
}

// scalar stores the single value n in v.
func (d *Document) scalar(n *yaml.Node, v reflect.Value, path string) {
	want, ok := "", n.Kind == yaml.ScalarNode
	switch {
	case v.Type() == reflect.TypeFor[time.Duration]():
		want = "a duration such as 1s or 800ms"
		ok = ok && setDuration(n.Value, v)
	case v.Type() == reflect.TypeFor[netip.Addr]():
		want = "an IPv4 or IPv6 address"
		ok = ok && setAddr(n.Value, v)
	case v.Kind() == reflect.String:
		want = "a text"
		if ok {
			v.SetString(n.Value)
		}
	case v.Kind() == reflect.Bool:
		want = "true or false"
		ok = ok && n.ShortTag() == "!!bool" && n.Decode(v.Addr().Interface()) == nil
	case v.CanInt():
		want = "a whole number"
		ok = ok && n.ShortTag() == "!!int" && n.Decode(v.Addr().Interface()) == nil
	case v.CanUint():
		want = fmt.Sprintf("a whole number from 0 to %d", ^uint64(0)>>(64-v.Type().Bits()))
		ok = ok && n.ShortTag() == "!!int" && n.Decode(v.Addr().Interface()) == nil
	default:
		panic("strictyaml: no rule for " + v.Type().String())
	}
	if !ok {
		d.Reject(path, fmt.Sprintf("want %s, got %s", want, describe(n)))
	}
}

// setDuration takes what Go takes, and the days and weeks of Prometheus.
func setDuration(text string, v reflect.Value) bool {
	dur, err := time.ParseDuration(text)
	if err != nil {
		var prom model.Duration
		if prom, err = model.ParseDuration(text); err != nil {
			return false
		}
		dur = time.Duration(prom)
	}
	v.SetInt(int64(dur))
	return true
}

func setAddr(text string, v reflect.Value) bool {
	addr, err := netip.ParseAddr(text)
	if err == nil {
		v.Set(reflect.ValueOf(addr))
	}
	return err == nil
}

// fieldsOf returns the fields of a struct by their YAML names, and the names
// in the order of the struct.
func fieldsOf(v reflect.Value) (fields map[string]reflect.Value, names []string) {
	fields = map[string]reflect.Value{}
	for i := range v.NumField() {
		name := v.Type().Field(i).Tag.Get("yaml")
		fields[name] = v.Field(i)
		names = append(names, name)
	}
	return fields, names
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// describe says what a node is, for people.
func describe(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "keys and values"
	case yaml.SequenceNode:
		return "a list"
	case yaml.AliasNode:
		return "an alias"
	}
	text := n.Value
	if len(text) > 60 {
		text = text[:60] + "…"
	}
	return strconv.Quote(text)
}
