# Everything works on a fresh clone with Go, make and root. The tools are built
# from their own modules below tools/, so that they are not in go.mod.

SHELL       := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

VERSION  ?= $(shell git describe --tags --dirty 2>/dev/null || echo 0.1.0-dev)
REVISION ?= $(shell git rev-parse --short HEAD 2>/dev/null || echo unknown)
BRANCH   ?= $(shell git rev-parse --abbrev-ref HEAD 2>/dev/null || echo unknown)
# The date of the commit and not of the build: equal sources give equal binaries.
DATE     ?= $(shell git log -1 --format=%cI 2>/dev/null || echo unknown)

v       := github.com/prometheus/common/version
LDFLAGS := -s -w -X $(v).Version=$(VERSION) -X $(v).Revision=$(REVISION) -X $(v).Branch=$(BRANCH) -X $(v).BuildDate=$(DATE)

# Faults that are tried by `make test`; `make faults` tries all.
FAULTS ?= forward-drop route-missing pod-link-down not-listening exporter-restart

TOOLS := bin/prometheus bin/promtool bin/alertmanager

# What the three-node cluster of deploy/e2e is made of.
KUBERNETES := $(addprefix bin/kubernetes/,kube-apiserver kube-controller-manager kube-scheduler kubelet kube-proxy kubectl)
CNI        := $(addprefix bin/cni/,bridge host-local loopback portmap)
E2E_TOOLS  := $(KUBERNETES) $(CNI) bin/etcd bin/prometheus-kubernetes bin/alertmanager bin/helm

.PHONY: help demo build image test test-integration test-deploy lint generate generate-check bench simulate faults faults-production fuzz compat clean tools e2e e2e-up e2e-down e2e-tools scale

help: ## show this
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-17s %s\n", $$1, $$2}' Makefile

demo: build tools ## a cluster out of network namespaces breaks, and a page says why (root, 2 minutes)
	@go run ./deploy/lab demo

build: ## ./podnet_exporter, one static binary
	@echo "building ./podnet_exporter $(VERSION)"
	@CGO_ENABLED=0 go build -trimpath -ldflags '$(LDFLAGS)' -o podnet_exporter ./exporter

# Which platforms the image is for: --platform OS/ARCHITECTURE, more than once.
IMAGE_FLAGS ?=

image: ## dist/podnet_exporter.tar, a container image for amd64 and arm64, made without a container engine
	@go run ./deploy/image --release '$(VERSION)' --revision '$(REVISION)' --created '$(DATE)' \
		--ldflags='$(LDFLAGS)' --output dist/podnet_exporter.tar $(IMAGE_FLAGS)

tools: $(TOOLS) ## what the lab and the tests run, into ./bin (minutes the first time)

test: build tools ## unit tests, rule tests, and faults in the lab (root, without it that part is skipped)
	@.ci/test unit rules lab -- $(FAULTS)

test-integration: build tools ## the lab's part of `make test`
	@.ci/test lab -- $(FAULTS)

test-deploy: bin/helm bin/kustomize bin/kubernetes/manifests bin/operator-manifests ## the Helm chart and kustomize's base: rendered, checked, compared
	@.ci/test deploy

faults: build tools ## every fault of the lab
	@go run ./deploy/lab test

faults-production: build tools ## the same at default settings and with the rules as shipped (root, 65 minutes)
	@go run ./deploy/lab test --production

lint: tools bin/golangci-lint ## linters, formatting, tidy go.mod, rules
	@.ci/lint

generate: bin/helm ## eBPF objects (needs clang-19), docs/METRICS.md, dashboards, chart
	@.ci/generate

generate-check: bin/helm ## fails if generated files are not what `make generate` makes
	@.ci/generate --check

bench: build ## what probing and collecting cost, next to fping and a bare loop in C's manner
	@go test -run '^$$' -bench . -benchmem ./probers/... ./collectors/... ./exporter/...

simulate: build ## what an agent costs in clusters of 10 to 5,000 nodes, and how fast a failure is seen
	@./podnet_exporter simulate

# How long `make fuzz` gives each fuzz test.
FUZZTIME ?= 5m

fuzz: ## every parser's fuzz test, FUZZTIME (5m) each
	@for folder in $$(git ls-files '*_test.go' | xargs grep -l '^func Fuzz' | xargs -n1 dirname | sort -u); do \
		for name in $$(grep -hoE '^func Fuzz[A-Za-z0-9]+' $$folder/*_test.go | awk '{print $$2}'); do \
			echo "== $$folder $$name"; \
			go test -run '^$$' -fuzz "^$$name$$" -fuzztime $(FUZZTIME) ./$$folder; \
		done; \
	done

compat: ## mtr beside the real mtr 0.95, which this installs from Debian (root)
	@command -v mtr >/dev/null || apt-get install -y --no-install-recommends mtr-tiny
	@go test -tags compat -count=1 -run 'TestGoldenFiles|TestPathOnANetwork' ./exporter

e2e: e2e-tools ## a real Kubernetes of three nodes, and every check of it (root, Debian's containerd)
	@go run ./deploy/e2e test
	@go run ./deploy/e2e --proxy=nftables --ipv4-only test pod-series commands forward-drop not-listening

e2e-up: e2e-tools ## that cluster with podnet_exporter in it, to look at
	@go run ./deploy/e2e up

e2e-down: ## remove it
	@go run ./deploy/e2e down

scale: build bin/etcd bin/kubernetes/kube-apiserver ## what the agent takes in a cluster of 5,000 nodes (root, 8 minutes)
	@go run ./deploy/scale

e2e-tools: $(E2E_TOOLS) ## what it is made of, into ./bin (10 minutes the first time)
	@command -v containerd >/dev/null && command -v runc >/dev/null && command -v iptables >/dev/null && command -v nft >/dev/null || \
		 apt-get install -y --no-install-recommends containerd runc iptables nftables

clean: ## remove what was built, the lab and the cluster
	@if [[ $$(id -u) == 0 ]]; then go run ./deploy/lab down; go run ./deploy/e2e down; fi
	@rm -rf podnet_exporter bin

# A tool is built again when the go.mod of its module changed.
bin/prometheus bin/promtool: tools/go.mod
	@tools/build $@ tools github.com/prometheus/prometheus/cmd/$(@F)

bin/alertmanager: tools/alertmanager/go.mod
	@tools/build $@ tools/alertmanager github.com/prometheus/alertmanager/cmd/alertmanager

bin/golangci-lint: tools/golangci-lint/go.mod
	@tools/build $@ tools/golangci-lint github.com/golangci/golangci-lint/v2/cmd/golangci-lint

bin/helm: tools/helm/go.mod
	@tools/build $@ tools/helm helm.sh/helm/v4/cmd/helm

bin/kubernetes/manifests: tools/kubernetes/go.mod tools/kubernetes/manifests/main.go
	@tools/build $@ tools/kubernetes ./manifests

bin/operator-manifests: tools/operator/go.mod tools/operator/main.go
	@tools/build $@ tools/operator .

bin/kustomize: tools/kustomize/go.mod
	@tools/build $@ tools/kustomize sigs.k8s.io/kustomize/kustomize/v5

bin/coredns: tools/coredns/go.mod tools/coredns/main.go
	@tools/build $@ tools/coredns .

bin/etcd: tools/etcd/go.mod
	@tools/build $@ tools/etcd go.etcd.io/etcd/server/v3

bin/prometheus-kubernetes: tools/go.mod
	@TAGS=remove_all_sd,enable_kubernetes_sd tools/build $@ tools github.com/prometheus/prometheus/cmd/prometheus

# What is not built by its own Makefile has to be told its version.
$(KUBERNETES): tools/kubernetes/go.mod
	@v=$$(go list -C tools/kubernetes -m -f '{{.Version}}' k8s.io/kubernetes); minor=$${v#v1.}; \
	x='-X k8s.io/component-base/version'; \
	LDFLAGS="$$x.gitVersion=$$v $$x.gitMajor=1 $$x.gitMinor=$${minor%.*} $$x.gitTreeState=clean" \
		tools/build $@ tools/kubernetes k8s.io/kubernetes/cmd/$(@F)

$(CNI): tools/cni/go.mod
	@v=$$(go list -C tools/cni -m -f '{{.Version}}' github.com/containernetworking/plugins); \
	LDFLAGS="-X github.com/containernetworking/plugins/pkg/utils/buildversion.BuildVersion=$$v" \
		tools/build $@ tools/cni $$(go list -C tools/cni tool | grep /$(@F)$$)
