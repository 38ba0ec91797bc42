package windows

// Probes returns the section "probes" of an agent's configuration in a lab: as
// the rules, so the probers, since a page within seconds needs them every
// second.
func Probes() map[string]any {
	type object = map[string]any
	return object{
		"icmp": object{"interval": "1s"},
		"tcp":  object{"interval": "1s"},
		"udp":  object{"interval": "1s"},
		"path": object{"interval": "1s", "timeout": "800ms", "flows": 8},
		"pmtu": object{"interval": "2s", "timeout": "200ms"},
	}
}
