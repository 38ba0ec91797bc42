package collectors

import (
	"bytes"
	"fmt"
	"strconv"
)

// netstat is the protocol counters of a namespace by group and name, for
// example "TcpExt" "ListenOverflows".
type netstat map[string]uint64

// parseNetstat adds those counters of /proc/net/netstat or /proc/net/snmp that
// are in n already: a line of names, each group's followed by a line of values
//
//	Udp: InDatagrams NoPorts
//	Udp: 12 0
//
// Values are signed; a negative one (Tcp MaxConn is -1) is left out.
func (n netstat) parseNetstat(text []byte) error {
	for len(text) > 0 {
		names, rest, _ := bytes.Cut(text, []byte("\n"))
		values, after, _ := bytes.Cut(rest, []byte("\n"))
		text = after
		if err := n.parseGroup(names, values); err != nil {
			return err
		}
	}
	return nil
}

func (n netstat) parseGroup(names, values []byte) error {
	group, names, ok := bytes.Cut(names, []byte(": "))
	again, values, ok2 := bytes.Cut(values, []byte(": "))
	if !ok || !ok2 || !bytes.Equal(group, again) {
		return fmt.Errorf("netstat: names of %.20q are not followed by their values", group)
	}
	key := make([]byte, 0, 64)
	for len(names) > 0 {
		var name, value []byte
		name, names, _ = bytes.Cut(names, []byte(" "))
		value, values, _ = bytes.Cut(values, []byte(" "))
		key = append(append(key[:0], group...), name...)
		if _, wanted := n[string(key)]; !wanted {
			continue
		}
		if err := n.set(key, value); err != nil {
			return err
		}
	}
	return nil
}

// parseNetstat6 adds those counters of /proc/net/snmp6 that are in n already:
// a line per counter, its name, blanks and its value.
func (n netstat) parseNetstat6(text []byte) error {
	for len(text) > 0 {
		var line []byte
		line, text, _ = bytes.Cut(text, []byte("\n"))
		name, value, _ := bytes.Cut(line, []byte(" "))
		if _, wanted := n[string(name)]; !wanted {
			continue
		}
		if err := n.set(name, bytes.TrimSpace(value)); err != nil {
			return err
		}
	}
	return nil
}

func (n netstat) set(key, value []byte) error {
	if bytes.HasPrefix(value, []byte("-")) {
		return nil
	}
	v, err := strconv.ParseUint(string(bytes.TrimRight(value, "\t ")), 10, 64)
	if err != nil {
		return fmt.Errorf("netstat: %s: %w", key, err)
	}
	n[string(key)] = v
	return nil
}
