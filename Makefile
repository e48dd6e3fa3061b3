# Needs Go and make; everything else is fetched as Go modules. `make help` lists the targets.

GO ?= go

# Of make run: small, medium or full, or a number of files. Full is every .go file of the Go installation.
SIZE ?= full
FILES ?= $(or $(FILES_$(SIZE)),$(error SIZE=$(SIZE): it must be small, medium or full))
FILES_small := 500
FILES_medium := 2500
FILES_full := 0

# A fuzz target runs this many inputs beyond its corpus.
FUZZCOUNT ?= 200000x

# Of make soak: how long, and which plan. Without SEED it is a new one each time, which is printed.
SOAK ?= 60s
SEED ?=

# Of make vm: a .deb of a kernel, the folder of one, or / for those installed; and a regexp of tests, if not those that it runs by itself.
KERNEL ?= /
RUN ?=

# Of make claims: which, by section, words, folder or test. All without.
CLAIM ?=

# Of make bench: cd bench && go run . -help lists them.
BENCHFLAGS ?=

# Of make microbench.
BENCH ?= .
BENCHTIME ?= 1s

TESTTIMEOUT ?= 5m

LINT_VERSION := v2.15.0
LINT := bin/golangci-lint-$(LINT_VERSION)

PLATFORMS := linux/arm64 linux/386 darwin/amd64 darwin/arm64 windows/amd64 windows/arm64

# Packages with arithmetic on what others say, whose tests also run with words of 32 bits where the machine can.
NARROW := ./ipc ./worker ./procpool ./procpool/internal/confine

.DEFAULT_GOAL := help

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile
	@echo
	@echo "  make run takes SIZE=small, medium or full, or FILES=N; make fuzz FUZZCOUNT=$(FUZZCOUNT); make bench BENCHFLAGS=-quick; make soak SOAK=10m SEED=7; make vm KERNEL=linux-image-6.1.0-50-amd64.deb; make microbench BENCH=regexp."

.PHONY: build
build: ## build bin/worker and bin/procpool
	@mkdir -p bin
	$(GO) build -o bin/ ./cmd/worker ./cmd/procpool

.PHONY: run
run: build ## format, hash and compress every .go file of the Go installation, in worker processes and serially; then contain hostile guests
	bin/procpool demo -worker bin/worker -root "$$($(GO) env GOROOT)/src" -files $(FILES) -out out/gofmt.jsonl
	@echo
	GOOS=wasip1 GOARCH=wasm $(GO) build -o bin/guest.wasm ./examples/interpreters/guest
	$(GO) run ./examples/interpreters bin/guest.wasm

.PHONY: test
test: ## run every test
	$(GO) test -timeout $(TESTTIMEOUT) ./...

# interpreters/internal is functions from bytes to bytes, whose tests compile thousands of modules: a minute of the race detector's time for nothing to find.
.PHONY: race
race: ## run every test under the race detector, save those of what has no goroutines
	$(GO) test -race -timeout $(TESTTIMEOUT) $$($(GO) list ./... | grep -v /interpreters/internal/)

.PHONY: lint
lint: $(LINT) ## go vet and golangci-lint
	$(GO) vet ./...
	cd examples/plugin-host/plugin && $(GO) vet ./...
	cd bench && $(GO) vet ./...
	@unformatted=$$($(GO)fmt -l bench) && test -z "$$unformatted" || { echo "not formatted: $$unformatted"; exit 1; }
	$(LINT) run ./...

$(LINT):
	@mkdir -p bin
	GOBIN="$(CURDIR)/bin" GOFLAGS= $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(LINT_VERSION)
	mv bin/golangci-lint $@

# Inputs are made smaller for ten seconds at most, and not for a minute each, in which a slow target gets nowhere. A count of runs instead has go test stop short of FUZZCOUNT for ever.
.PHONY: fuzz
fuzz: ## run each fuzz target FUZZCOUNT times
	@set -e; for package in $$($(GO) list ./...); do \
		listed=$$($(GO) test -list '^Fuzz' $$package); \
		for target in $$(echo "$$listed" | grep '^Fuzz'); do \
			echo "$$package $$target"; \
			$(GO) test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZCOUNT) -fuzzminimizetime 10s $$package; \
		done; \
	done

.PHONY: soak
soak: ## kill workers at random for SOAK, and account for every call
	@mkdir -p bin
	$(GO) build -o bin/soak-worker ./integration/soak/worker
	$(GO) build -o bin/soak ./integration/soak
	bin/soak -worker bin/soak-worker -for $(SOAK) $(if $(SEED),-seed $(SEED))

.PHONY: vm
vm: ## run the tests of limits in a virtual machine with cgroups of version 2 (takes qemu and the package of a kernel)
	GO=$(GO) integration/vm/vm.sh $(KERNEL) $(if $(RUN),'$(RUN)')

.PHONY: faults
faults: ## write docs/faults.md from the table of the fault grid
	$(GO) test ./integration/faults -run '^TestTheDocumentIsThatOfTheTable$$' -update

.PHONY: claims
claims: ## take the code of each claim out and see its test fail, or of those that match CLAIM; write docs/claims.md
	$(GO) run ./integration/claims -claim '$(CLAIM)'
	@test -n '$(CLAIM)' || $(GO) test ./integration/claims -run '^TestTheDocumentIsThatOfTheTable$$' -update

.PHONY: bench
bench: ## measure project and peers side by side, and write docs/performance.md
	cd bench && $(GO) run . $(BENCHFLAGS)

.PHONY: microbench
microbench: ## run the plain Go benchmarks
	$(GO) test -run '^$$' -bench '$(BENCH)' -benchtime $(BENCHTIME) -benchmem ./...
	cd bench && $(GO) test -run '^$$' -bench '$(BENCH)' -benchtime $(BENCHTIME) -benchmem .

.PHONY: cross
cross: ## build and vet for every system and architecture, and what guests are made of; test with 32 bits
	@set -e; for platform in $(PLATFORMS); do \
		echo "$$platform"; \
		GOOS=$${platform%/*} GOARCH=$${platform#*/} CGO_ENABLED=0 $(GO) build ./...; \
		GOOS=$${platform%/*} GOARCH=$${platform#*/} CGO_ENABLED=0 $(GO) vet ./...; \
	done
	@if test "$$($(GO) env GOHOSTOS)/$$($(GO) env GOHOSTARCH)" = linux/amd64; then set -x; GOARCH=386 CGO_ENABLED=0 $(GO) test -timeout $(TESTTIMEOUT) $(NARROW); fi
	GOOS=wasip1 GOARCH=wasm $(GO) vet ./futures ./ipc/... ./worker/... ./integration/interpreters/...

.PHONY: check
check: lint test race cross ## all that must be green

.PHONY: rename
rename: ## give the module another path: make rename MODULE=example.org/you/concurrent
	@test -n "$(MODULE)" || { echo "make rename MODULE=example.org/you/concurrent"; exit 2; }
	@old=$$($(GO) list -m); \
	git ls-files -z | xargs -0 grep -lIF "$$old" | while read -r file; do \
		sed -i.old "s|$$old|$(MODULE)|g" "$$file" && rm "$$file.old"; \
	done; \
	$(GO) build ./...

.PHONY: clean
clean: ## remove what was built and written
	rm -rf bin out
