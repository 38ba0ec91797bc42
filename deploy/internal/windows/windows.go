// Package windows has the durations of a lab, where everything is probed and
// scraped every second and a page shall come within seconds: it rewrites those
// of rules, and says those of agents.
package windows

import (
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"
)

// ruleWindows says what a duration of the shipped rules is in the lab, where
// everything is scraped every second. It holds for range selectors, offsets,
// for, keep_firing_for and a group's interval.
func ruleWindows() map[string]string {
	return map[string]string{
		"9s":  "3s", // one evaluation later, which the lab gives three
		"10s": "1s",
		"15s": "2s",
		"20s": "3s",
		"25s": "15s", // what a kubelet takes does not shrink with the scrape interval
		"30s": "4s",
		"45s": "8s",
		"1m":  "10s",
		"2m":  "12s",
		"5m":  "20s",
		"10m": "5m",
		"15m": "40s",
		"1h":  "10m",
	}
}

// alertmanagerWindows says the same for Alertmanager's configuration. A
// repeat_interval stays as it is: the lab does not live that long.
func alertmanagerWindows() map[string]map[string]string {
	return map[string]map[string]string{
		"group_wait":     {"1s": "1s", "5s": "1s"},
		"group_interval": {"5s": "2s", "10s": "2s", "30s": "2s", "1m": "2s"},
	}
}

// Rules rewrites a rule file of alerts/ to the lab's windows. A duration
// that the table does not have is an error: a rule that never fires in the lab
// would look like one that works.
func Rules(name string, text []byte) ([]byte, error) {
	table := ruleWindows()
	return rewrite(name, text, func(key, value string) (string, error) {
		switch key {
		case "for", "keep_firing_for", "interval":
			return lookUp(table, value)
		case "expr":
			return rewriteExpr(value, table)
		}
		return value, nil
	})
}

// Alertmanager rewrites Alertmanager's configuration to the lab's windows.
func Alertmanager(name string, text []byte) ([]byte, error) {
	tables := alertmanagerWindows()
	return rewrite(name, text, func(key, value string) (string, error) {
		if table, ok := tables[key]; ok {
			return lookUp(table, value)
		}
		return value, nil
	})
}

// rewrite passes every scalar of a YAML text that has a key through change,
// and keeps everything else, comments too.
func rewrite(name string, text []byte, change func(key, value string) (string, error)) ([]byte, error) {
	var doc yaml.Node
	if err := yaml.Unmarshal(text, &doc); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if err := walk(&doc, change); err != nil {
		return nil, fmt.Errorf("%s:%w", name, err)
	}
	out, err := yaml.Marshal(&doc)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return out, nil
}

func walk(n *yaml.Node, change func(key, value string) (string, error)) error {
	for i, child := range n.Content {
		if n.Kind == yaml.MappingNode && i%2 == 1 && child.Kind == yaml.ScalarNode {
			key := n.Content[i-1].Value
			value, err := change(key, child.Value)
			if err != nil {
				return fmt.Errorf("%d: %s: %w", child.Line, key, err)
			}
			child.Value = value
		}
		if err := walk(child, change); err != nil {
			return err
		}
	}
	return nil
}

func lookUp(table map[string]string, production string) (string, error) {
	if production == "0s" || production == "0" {
		return production, nil
	}
	lab, ok := table[production]
	if !ok {
		return "", fmt.Errorf("duration %q has no lab value: add it to the tables in deploy/internal/windows/windows.go", production)
	}
	return lab, nil
}

// rewriteExpr replaces the durations of a PromQL expression: those in square
// brackets, subqueries' steps too, and those after offset. Strings and
// comments stay as they are; `[` has no other meaning outside them.
func rewriteExpr(expr string, table map[string]string) (string, error) {
	var out strings.Builder
	for i := 0; i < len(expr); {
		switch c := expr[i]; {
		case c == '"' || c == '\'' || c == '`':
			end := stringEnd(expr, i)
			out.WriteString(expr[i:end])
			i = end
		case c == '#':
			end := i + len(before(expr[i:], "\n"))
			out.WriteString(expr[i:end])
			i = end
		case c == '[':
			inside := before(expr[i+1:], "]")
			lab, err := rewriteRange(inside, table)
			if err != nil {
				return "", err
			}
			out.WriteString("[" + lab)
			i += 1 + len(inside)
		case isWord(c):
			end := i
			for end < len(expr) && isWord(expr[end]) {
				end++
			}
			out.WriteString(expr[i:end])
			word := expr[i:end]
			i = end
			if strings.EqualFold(word, "offset") {
				gap, duration := offsetValue(expr[i:])
				lab, err := lookUp(table, duration)
				if err != nil {
					return "", err
				}
				out.WriteString(gap + lab)
				i += len(gap) + len(duration)
			}
		default:
			out.WriteByte(c)
			i++
		}
	}
	return out.String(), nil
}

// rewriteRange replaces what stands in square brackets: "5m", "1h:30s", "1h:".
func rewriteRange(inside string, table map[string]string) (string, error) {
	parts := strings.Split(inside, ":")
	for i, part := range parts {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		lab, err := lookUp(table, part)
		if err != nil {
			return "", err
		}
		parts[i] = lab
	}
	return strings.Join(parts, ":"), nil
}

// offsetValue splits what follows the word offset into blanks with a sign, and
// the duration.
func offsetValue(s string) (gap, duration string) {
	rest := strings.TrimLeft(s, " \t\n-")
	end := 0
	for end < len(rest) && isWord(rest[end]) {
		end++
	}
	return s[:len(s)-len(rest)], rest[:end]
}

// stringEnd returns the index after the string literal that begins at i. A
// backslash escapes in '"' and '\” strings; an unfinished string goes to the end.
func stringEnd(s string, i int) int {
	quote := s[i]
	for j := i + 1; j < len(s); j++ {
		switch {
		case s[j] == '\\' && quote != '`':
			j++
		case s[j] == quote:
			return j + 1
		}
	}
	return len(s)
}

// before returns the part of s before sep, all of s if sep is not there.
func before(s, sep string) string {
	part, _, _ := strings.Cut(s, sep)
	return part
}

func isWord(c byte) bool {
	return c == '_' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}
