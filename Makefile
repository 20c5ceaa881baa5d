# Commands for everybody; CONTRIBUTING.md says when to use which.

GO        ?= go
VERSION   ?= $(shell git describe --tags --always --dirty 2>/dev/null)
TESTFLAGS ?=
PREFIX    ?= $(HOME)/.local

.PHONY: build completions goreleaser snapshot package test-packages weight install test test-root test-lab lint golden pictures film bench bench-scale bench-wire drills walk soak fuzz lab clean

build: ## the binary, as released
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags "-s -w -X main.version=$(VERSION)" -o dist/geotop ./cmd/geotop

install: build
	install -Dm755 dist/geotop $(PREFIX)/bin/geotop

test: test-root test-lab ## everything; the first time builds Kubernetes' components for the lab

test-root: ## geotop itself: fast, talks to nobody
	$(GO) vet ./...
	$(GO) test -race $(TESTFLAGS) ./...
	GOARCH=386 CGO_ENABLED=0 $(GO) test $(TESTFLAGS) ./model ./survive ./view ./output ./recording # as on a 32-bit Raspberry Pi
	GEOTOP_STEPS=100000 $(GO) test $(TESTFLAGS) -run TestLongUse ./ui

test-lab: ## against real components on loopback
	cd lab && $(GO) vet ./...
	cd lab && $(GO) run . build
	cd lab && $(GO) test -p 1 -timeout 45m $(TESTFLAGS) ./...

lint: ## the linter is pinned in tools/go.mod
	mkdir -p dist
	cd tools && $(GO) build -o ../dist/golangci-lint github.com/golangci/golangci-lint/v2/cmd/golangci-lint
	dist/golangci-lint run ./...
	cd lab && ../dist/golangci-lint run -c ../.golangci.yml ./...

completions: ## for every shell that has any
	mkdir -p completions
	$(GO) build -o completions/.geotop ./cmd/geotop
	for shell in bash zsh fish powershell; do GEOTOP_CONFIG=/dev/null completions/.geotop completion $$shell >completions/geotop.$$shell; done
	rm completions/.geotop

goreleaser: ## pinned in tools/release/go.mod
	mkdir -p dist-tools
	cd tools/release && $(GO) build -o ../../dist-tools/goreleaser github.com/goreleaser/goreleaser/v2

snapshot: goreleaser ## everything a release has, in dist/, published nowhere
	dist-tools/goreleaser release --snapshot --clean --skip=sign,sbom,docker,publish

package: goreleaser ## what linux/amd64 gets: binary, archive, deb, rpm, apk
	dist-tools/goreleaser check --quiet
	sed -e 's/goos: \[.*\]/goos: [linux]/' -e 's/goarch: \[.*\]/goarch: [amd64]/' .goreleaser.yaml >dist-tools/amd64.yaml
	dist-tools/goreleaser release -f dist-tools/amd64.yaml --snapshot --clean --skip=sign,sbom,docker,publish,homebrew,aur,nix,scoop

test-packages: package ## install, upgrade and remove with apt, as root; look into the rest; build twice
	tools/test-packages

weight: build ## what of the binary weighs how much
	tools/weigh dist/geotop all

golden: ## golden screens and outputs, the schemas and the manual: look at the difference before you commit it
	$(GO) test ./ui ./output ./model ./cmd/geotop -update

pictures: ## docs/pictures, from the demo
	cd lab && $(GO) run . pictures

film: ## docs/pictures/outage.svg, a planned power cut on the living demo
	cd lab && $(GO) run . pictures --film

bench: ## what single steps cost
	$(GO) test -run '^$$' -bench . -benchmem ./...

fuzz: ## each for a while
	$(GO) test ./ui -run '^$$' -fuzz FuzzScreens -fuzztime 1m
	$(GO) test ./model -run '^$$' -fuzz FuzzRead -fuzztime 1m
	$(GO) test ./collectors/kube -run '^$$' -fuzz FuzzFrames -fuzztime 1m

drills: ## generated clusters in labs of their own, houses cut, forecasts held against what happens; 40 s each
	cd lab && $(GO) run . drill --count 20

walk: ## every call of every action goes wrong in every way, against the lab: an hour
	cd lab && GEOTOP_WALK=all $(GO) test ./e2e -run SurvivesEveryFault -v -count=1 -timeout 3h

soak: ## ten minutes of trouble in a lab of its own: geotop must not grow, race or miss that all is well again
	cd lab && $(GO) run . soak

bench-scale: ## the whole process on 1000 nodes in 50 sites with 20,000 pods; some ten minutes
	$(GO) build -o dist/geotop ./cmd/geotop
	cd lab && $(GO) build -o ../dist/lab . && $(GO) build -o ../dist/hello ./bench/hello
	set -e; d=$$(mktemp -d)/lab; trap 'dist/lab down --dir '$$d EXIT; \
	dist/lab up --dir $$d --nodes 1000 --sites 50 --pods 20000 --no-metrics --ttl 1h && dist/lab bench --dir $$d --geotop dist/geotop --hello dist/hello

bench-wire: ## bytes written to a terminal, on the demo: some six minutes
	cd lab && $(GO) run . wire

lab: ## a small lab to try geotop on: make lab, then eval what it prints
	cd lab && $(GO) run . up

clean:
	rm -rf dist
