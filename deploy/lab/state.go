package main

import (
	"io"
	"path/filepath"

	"github.com/podnet-exporter/podnet_exporter/deploy/internal/process"
	"github.com/podnet-exporter/podnet_exporter/deploy/internal/statefile"
)

// defaultStateDir is where a running lab keeps its files.
const defaultStateDir = "/run/podnet-lab"

// Lab is the lab that lives under one state directory.
type Lab struct {
	Plan       Plan
	StateDir   string
	Repo       string    // folder of the module, where alerts/ and bin/ are
	Production bool      // agents, scrapes and rules are as in production
	NoAgents   bool      // neither agents nor endpoints are started
	NoDNS      bool      // no DNS server is started
	Out        io.Writer // progress for people

	prefix string // of namespaces, from the command line
}

// State is what a running lab wrote down, STATE/state.json.
type State struct {
	CNI        string       `json:"cni"`
	Prefix     string       `json:"prefix"`
	Production bool         `json:"production"`
	Processes  process.List `json:"processes"`
}

func (l *Lab) path(name string) string { return filepath.Join(l.StateDir, name) }

// readState returns what the running lab wrote down. Without a lab the error
// is fs.ErrNotExist.
func (l *Lab) readState() (State, error) {
	return statefile.Read[State](l.path("state.json"))
}

// changeState reads the state, lets change alter it, and writes it back whole;
// no other process changes it meanwhile.
func (l *Lab) changeState(change func(*State)) error {
	return statefile.Change(l.path("state.json"), State{CNI: l.Plan.CNI, Prefix: l.Plan.Prefix, Production: l.Production}, change)
}
