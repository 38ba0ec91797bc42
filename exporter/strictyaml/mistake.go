package strictyaml

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// Mistake is one thing that is wrong with a file.
type Mistake struct {
	File string // as it was named by the caller, "" if the text came from no file
	Line int    // from 1, 0 if unknown
	Path string // of the field, such as "probes.icmp.timeout" or "nodes[2].name"; "" for the whole file
	Text string // what is wrong, and what is allowed
}

// Error returns the mistake as "FILE:LINE: PATH: TEXT", without the parts that
// are not known.
func (m Mistake) Error() string {
	var b strings.Builder
	b.WriteString(m.File)
	if m.Line > 0 {
		if m.File == "" {
			b.WriteString("line ")
		} else {
			b.WriteByte(':')
		}
		b.WriteString(strconv.Itoa(m.Line))
	}
	for _, part := range []string{m.Path, m.Text} {
		if part == "" {
			continue
		}
		if b.Len() > 0 {
			b.WriteString(": ")
		}
		b.WriteString(part)
	}
	return b.String()
}

// Mistakes is everything that is wrong with a file: an error of one line for
// each.
type Mistakes []Mistake

// Error returns the mistakes, one per line, in the order of the file.
func (m Mistakes) Error() string {
	lines := make([]string, len(m))
	for i, mistake := range m {
		lines[i] = mistake.Error()
	}
	return strings.Join(lines, "\n")
}

// Err returns the mistakes as an error, sorted by line, and nil if there are
// none.
func (m Mistakes) Err() error {
	if len(m) == 0 {
		return nil
	}
	slices.SortStableFunc(m, func(a, b Mistake) int { return cmp.Compare(a.Line, b.Line) })
	return m
}

// Unwrap lets errors.As find a single Mistake.
func (m Mistakes) Unwrap() []error {
	errs := make([]error, len(m))
	for i, mistake := range m {
		errs[i] = mistake
	}
	return errs
}
