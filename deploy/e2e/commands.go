package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/podnet-exporter/podnet_exporter/deploy/internal/paging"
)

// commandsCheck is the name of the check that uses podnet_exporter's commands
// as somebody who is looking for a fault does.
const commandsCheck = "commands"

// checkCommands checks that paping, mtr and probe reach the apiserver by the
// address of its Service from the endpoint pod of every node, and say so.
func (c *Cluster) checkCommands(ctx context.Context) paging.Result {
	result := paging.Result{ID: commandsCheck, Pass: true}
	program := c.path("podnet_exporter") // nodes see the state directory
	err := c.command(ctx, "go", "build", "-trimpath", "-o", program, "./exporter")
	for _, n := range c.Plan.Nodes {
		if err == nil {
			err = c.serviceIsReached(ctx, n, program)
		}
	}
	if err != nil {
		result.Pass, result.Reason = false, err.Error()
	}
	return result
}

// serviceIsReached runs the commands in a node's endpoint pod.
func (c *Cluster) serviceIsReached(ctx context.Context, n NodePlan, program string) error {
	pod, err := c.endpointPod(ctx, n)
	if err != nil {
		return err
	}
	service := c.Plan.APIService.String()
	for _, argv := range [][]string{
		{"paping", "--nocolor", "-c", "3", "-p", "443", service},
		{"probe", "tcp", "--count=3", "--interval=100ms", service + ":443"},
		{"mtr", "--report", "--no-dns", "--report-cycles=3", "--tcp", "--port=443", service},
	} {
		command := append([]string{program, argv[0], "--pod", pod.Namespace + "/" + pod.Name}, argv[1:]...)
		said, err := c.output(ctx, n, command...)
		if err == nil && argv[0] == "mtr" {
			err = pathIsWhole(string(said), service)
		}
		if err != nil {
			return fmt.Errorf("%s in %s: %w", argv[0], pod.Name, err)
		}
	}
	return nil
}

// pathIsWhole returns an error unless a report of mtr ends at the destination,
// with nothing lost there or said to be lost on the way.
func pathIsWhole(report, destination string) error {
	last := ""
	for line := range strings.Lines(report) {
		if strings.Contains(line, "LOSS BEGINS") {
			return fmt.Errorf("a whole path has loss:\n%s", report)
		}
		if strings.Contains(line, "|--") {
			last = line
		}
	}
	if f := strings.Fields(last); len(f) < 3 || f[1] != destination || f[2] != "0.0%" {
		return fmt.Errorf("not every packet came to %s:\n%s", destination, report)
	}
	return nil
}
