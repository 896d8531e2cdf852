# make check   the quick loop: format, vet, lint, architecture, fast tests; seconds when warm
# make test    everything, against real parts, which it installs first (on Debian, as root)
# make build   bin/redflag and bin/redflag-agent for this machine
# make cross   compile for every platform that we support
# make web     builds the dashboard into web/dist, which is committed
# make bench   ratios against something measured in the same run
# make bench-fleet  what a fleet costs its server, by simulated hosts (docs/swarm.md)
# make bench-page   what a person waits for at the dashboard of a large fleet
# make fuzz    every fuzz test for FUZZTIME each

GO       ?= go
BIN      := $(CURDIR)/bin
LINT     := $(BIN)/golangci-lint-2.15.0
VERSION  := $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
LDFLAGS  := -s -w -X main.version=$(VERSION)
FUZZTIME ?= 20s

PLATFORMS := linux/amd64 linux/arm64 linux/arm darwin/arm64 windows/amd64 freebsd/amd64

# What make check vets beside this machine's own platform, tests and all: one for each system, because systems differ and processors do not.
VETTED := darwin/arm64 freebsd/amd64 windows/amd64

.PHONY: build check test parts lint cross web bench bench-fleet bench-page fuzz clean

build:
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o $(BIN)/redflag ./cmd/redflag
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o $(BIN)/redflag-agent ./cmd/redflag-agent

check: lint
	$(GO) test -short ./...

test: lint cross
	scripts/test

lint: $(LINT)
	@test -z "$$(gofmt -l cmd internal)" || { echo "not formatted (run gofmt -w):"; gofmt -l cmd internal; exit 1; }
	$(GO) vet ./...
	@for p in $(VETTED); do \
		GOOS=$${p%/*} GOARCH=$${p#*/} CGO_ENABLED=0 $(GO) vet ./cmd/... ./internal/... || { echo "go vet for $$p"; exit 1; }; \
	done
	$(LINT) run ./...

# A tool outside the module, so that its dependencies are not ours.
$(LINT):
	mkdir -p $(BIN)
	GOBIN=$(BIN) GOFLAGS= $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
	mv $(BIN)/golangci-lint $(LINT)

parts:
	scripts/parts

web:
	scripts/web

cross:
	@for p in $(PLATFORMS); do \
		echo "build $$p"; \
		GOOS=$${p%/*} GOARCH=$${p#*/} CGO_ENABLED=0 $(GO) build -o /dev/null ./... || exit 1; \
	done

bench:
	scripts/bench

bench-fleet:
	scripts/bench-fleet

bench-page:
	scripts/bench-page

fuzz:
	FUZZTIME=$(FUZZTIME) scripts/fuzz

clean:
	rm -rf $(BIN)
