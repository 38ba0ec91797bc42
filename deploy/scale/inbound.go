package main

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"github.com/podnet-exporter/podnet_exporter/exporter/config"
	"github.com/podnet-exporter/podnet_exporter/exporter/schedule"
	"github.com/podnet-exporter/podnet_exporter/probers"
)

// probeNode probes the measured node as its peers do, until ctx ends: as many as
// it has itself, each from its node and its pod, at moments of its own.
func probeNode(ctx context.Context, key []byte, families []bool) error {
	engine, err := probers.NewEngine()
	if err != nil {
		return err
	}
	engine.Batch = time.Millisecond // they are many agents, and do not wait for each other
	engine.SetKey(key)
	cfg := config.Default()
	pacer := schedule.NewPacer[probers.Probe](time.Now())
	var tag uint64
	for peer := range cfg.Mesh.Peers {
		for _, v6 := range families {
			for _, p := range probesOfPeer(cfg, v6) {
				p.Tag = tag
				tag++
				pacer.Add(p.Probe, fmt.Sprintf("%d %v", peer, p), p.every, time.Now())
			}
		}
	}
	stop := context.AfterFunc(ctx, engine.Wake)
	go func() {
		defer engine.Close()
		defer stop()
		var results []probers.Result
		twice := make(map[uint64]bool)
		for ctx.Err() == nil {
			for now := time.Now(); ; {
				p, _, due := pacer.Pop(now)
				if !due {
					break
				}
				engine.Send(p)
				if p.Kind == probers.UDP {
					if twice[p.Tag] = !twice[p.Tag]; twice[p.Tag] {
						engine.Send(p) // agents send two at once every second time
					}
				}
			}
			results = engine.Poll(pacer.Next(time.Now(), time.Second), results[:0])
		}
	}()
	return nil
}

// pacedProbe is a probe and how often it is sent.
type pacedProbe struct {
	probers.Probe
	every time.Duration
}

// probesOfPeer returns what a peer sends: to the node's agent from the peer's node
// and from its pod, to the node's endpoint likewise; UDP only within a layer.
func probesOfPeer(cfg *config.Config, v6 bool) []pacedProbe {
	var all []pacedProbe
	for _, service := range []string{agentsService, endpointService} {
		to := func(port uint16) netip.AddrPort { return netip.AddrPortFrom(address(service, v6, 0), port) }
		c := cfg.Probes
		icmp := pacedProbe{probers.Probe{Kind: probers.ICMP, To: to(0), Timeout: c.ICMP.Timeout, Size: c.ICMP.Size}, c.ICMP.Interval}
		tcp := pacedProbe{probers.Probe{Kind: probers.TCP, To: to(c.TCP.Port), Timeout: c.TCP.Timeout}, c.TCP.Interval}
		udp := pacedProbe{probers.Probe{Kind: probers.UDP, To: to(c.UDP.Port), Timeout: c.UDP.Timeout}, c.UDP.Interval}
		all = append(all, icmp, icmp, tcp, tcp, udp)
	}
	return all
}
