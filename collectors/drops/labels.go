package drops

// update adds what was counted to the series. It fails if functions cannot be
// named; those are then "unknown".
func (c *Collector) update(counted counts) error {
	locations := make([]uint64, 0, len(counted.probes))
	for _, p := range counted.probes {
		locations = append(locations, p.key.Location)
	}
	err := c.functions.resolve(locations)
	c.devices.forget()
	c.drops.update(counted.drops, c.last, c.dropLabels)
	c.probes.update(counted.probes, c.last, c.probeLabels)
	return err
}

// dropLabels returns the values of the labels of podnet_drops_total.
func (c *Collector) dropLabels(k kernelDropKey) []string {
	reason := c.reasons.name(k.Reason)
	device, namespace, pod := c.where(k.Netns, k.Ifindex)
	class := classOfPacket(reason, k.Multicast)
	if class == benign && pod != "" && c.options.Brief(namespace, pod) {
		return []string{reason, string(class), "", "", "", ""}
	}
	return []string{reason, string(class), protocolName(kernelProtocol(k.Protocol)), device, namespace, pod}
}

// probeLabels returns the values of the labels of podnet_probe_drops_total.
func (c *Collector) probeLabels(k kernelProbeKey) []string {
	device, namespace, pod := c.where(k.Netns, k.Ifindex)
	direction := "forward"
	if k.Direction == kernelDirectionREVERSE {
		direction = "reverse"
	}
	return []string{
		c.reasons.name(k.Reason), c.functions.name(k.Location), device, namespace, pod,
		c.mesh.name(k.SourceNode), c.mesh.name(k.PeerNode), protocolName(k.Probe), direction,
	}
}

// where names the interface and the pod, which is "" for the node itself.
func (c *Collector) where(inode, ifindex uint32) (device, namespace, pod string) {
	p, ok := c.scope.places[inode]
	if !ok {
		return unknown, unknown, unknown
	}
	return c.devices.name(p.Namespace, ifindex), p.Namespace.Namespace, p.Pod
}

func protocolName(p kernelProtocol) string {
	switch p {
	case kernelProtocolICMP:
		return "icmp"
	case kernelProtocolTCP:
		return "tcp"
	case kernelProtocolUDP:
		return "udp"
	}
	return "other"
}
