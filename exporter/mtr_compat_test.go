//go:build compat

package main

import (
	"bufio"
	"bytes"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var updateGolden = flag.Bool("update", false, "write the golden files anew, from the installed mtr")

// scenarioVariable names the scenario that TestPlayMtrPacket plays.
const scenarioVariable = "PODNET_MTR_SCENARIO"

// TestPlayMtrPacket is mtr-packet, the program that sends mtr's packets, with
// answers from a scenario.
func TestPlayMtrPacket(t *testing.T) {
	if name := os.Getenv(scenarioVariable); name != "" {
		playMtrPacket(readMtrScenario(t, name))
	}
}

// packetProgram returns a program that runs TestPlayMtrPacket.
func packetProgram(t *testing.T) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "mtr-packet")
	script := fmt.Sprintf("#!/bin/sh\nexec %s -test.run='^TestPlayMtrPacket$'\n", self)
	if err := os.WriteFile(file, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	return file
}

// playMtrPacket speaks the protocol of mtr-packet(8).
func playMtrPacket(s *mtrScenario) {
	sent := make(map[int]int)
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		words := strings.Fields(in.Text())
		args := make(map[string]string)
		for i := 2; i+1 < len(words); i += 2 {
			args[words[i]] = words[i+1]
		}
		if words[1] == "check-support" {
			fmt.Printf("%s feature-support support ok\n", words[0])
			continue
		}
		ttl, _ := strconv.Atoi(args["ttl"])
		a := s.answer(ttl, sent[ttl])
		sent[ttl]++
		if a == nil {
			continue
		}
		family := "ip-4"
		if strings.Contains(a.addr, ":") {
			family = "ip-6"
		}
		fmt.Printf("%s %s %s %s round-trip-time %d\n", words[0], a.what, family, a.addr, a.microseconds)
	}
}

// realMtr skips if mtr 0.95 is not installed.
func realMtr(t *testing.T) {
	t.Helper()
	out, err := exec.Command("mtr", "--version").Output()
	if err != nil || strings.TrimSpace(string(out)) != "mtr "+mtrVersion {
		t.Skipf("needs mtr %s: %s %v", mtrVersion, out, err)
	}
}

// TestGoldenFilesAreWhatMtrPrints runs mtr with answers from the scenarios.
func TestGoldenFilesAreWhatMtrPrints(t *testing.T) {
	realMtr(t)
	program := packetProgram(t)
	hostname, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range mtrGoldens() {
		t.Run(g.file, func(t *testing.T) {
			t.Parallel()
			s := readMtrScenario(t, g.scenario)
			cmd := exec.Command("mtr", append([]string{"-i", "0.2", "-G", "0.5"}, g.arguments(s)...)...)
			cmd.Env = append(os.Environ(), "MTR_PACKET="+program, scenarioVariable+"="+g.scenario, "TZ=UTC")
			var stderr bytes.Buffer
			cmd.Stderr = &stderr
			out, err := cmd.Output()
			if err != nil || stderr.Len() > 0 {
				t.Fatalf("mtr: %v\n%s", err, &stderr)
			}
			got, file := normalMtr(string(out), hostname), filepath.Join("testdata/mtr", g.file+".golden")
			if *updateGolden {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("%s (-file +mtr):\n%s", file, diff)
			}
		})
	}
}
