package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"

	"github.com/alecthomas/kingpin/v2"
	"github.com/prometheus/common/version"

	"github.com/podnet-exporter/podnet_exporter/probers"
)

// respondFlags is what the command line tells the endpoint.
type respondFlags struct {
	listen, node, pod, keyFile string
}

// respondCommand is "respond": the endpoint, an ordinary pod that answers
// probes and says who it is. It needs no privilege.
func respondCommand(app *kingpin.Application) command {
	cmd := app.Command("respond", "Run the endpoint of this node: answer probes and say who it is.")
	var f respondFlags
	cmd.Flag("listen", "Address and port to answer on, TCP and UDP, IPv4 and IPv6.").Default(":9798").StringVar(&f.listen)
	cmd.Flag("node", "The node that it runs on.").Envar("NODE_NAME").StringVar(&f.node)
	cmd.Flag("pod", "The pod that it is, as NAMESPACE/NAME. Default: $POD_NAMESPACE/$POD_NAME; without those it answers for the node.").
		Default(podOfEnvironment()).StringVar(&f.pod)
	cmd.Flag("key-file", "File that holds the key of the cluster. Without it UDP is not answered.").StringVar(&f.keyFile)
	return command{cmd.FullCommand(), f.run}
}

// podOfEnvironment returns what the downward API says about this pod, or "".
func podOfEnvironment() string {
	namespace, name := os.Getenv("POD_NAMESPACE"), os.Getenv("POD_NAME")
	if namespace == "" || name == "" {
		return ""
	}
	return namespace + "/" + name
}

// run answers until ctx ends.
func (f *respondFlags) run(ctx context.Context, log *slog.Logger) error {
	if f.node == "" {
		return usageError{errors.New("respond: --node is missing; give the node's name, or set NODE_NAME")}
	}
	namespace, pod, found := strings.Cut(f.pod, "/")
	if f.pod != "" && (!found || namespace == "" || pod == "" || strings.Contains(pod, "/")) {
		return usageError{fmt.Errorf("respond: --pod %q is not NAMESPACE/NAME", f.pod)}
	}
	key, err := probers.ReadKeyFile(f.keyFile)
	switch {
	case err != nil:
		log.Warn("UDP is not answered", "err", err)
	case key == nil:
		log.Warn("UDP is not answered: there is no key", "hint", "give --key-file")
	}
	beFrugal()
	r, err := probers.NewResponder(probers.ResponderOptions{
		Listen: f.listen, Node: f.node, Namespace: namespace, Pod: pod, Version: version.Version, Key: key,
	})
	if err != nil {
		return err
	}
	log.Info("answering probes", "address", r.Addr().String(), "udp", r.UDP(), "node", f.node, "pod", f.pod, "version", version.Version)
	err = r.Run(ctx)
	log.Info("no longer answering", "stats", fmt.Sprintf("%+v", r.Stats()))
	return err
}
