# What can be done here. `make` alone lists it.
#
# Needed beforehand: Rust and Node.js 20 (with npm). Everything else is installed where it is missing, and told before
# it happens: Debian packages by tools/install.sh, npm packages by `npm ci` from lock files, Python packages into
# tests/conformance/python/.venv. A second run installs nothing and works without a network.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.ONESHELL:
.NOTPARALLEL:

TARGET := $(or $(CARGO_TARGET_DIR),target)
PYTHON_TESTS := tests/conformance/python
VENV := $(PYTHON_TESTS)/.venv
# One of the tests holds ten thousand connections open.
OPEN_FILES := ulimit -n "$$(ulimit -Hn)"
SAY := @printf '\n\033[1m%s\033[0m\n'
NPM_CI := npm ci --no-audit --no-fund --loglevel=error

# Where `make install` puts things, below DESTDIR if that is given.
PREFIX ?= /usr/local
SYSCONFDIR ?= /etc
UNITDIR ?= $(PREFIX)/lib/systemd/system
LAKH ?= $(TARGET)/release/lakh
# cargo-deb looks for assets in this folder.
PACKAGE := $(TARGET)/release/package

.PHONY: help run build install uninstall deb test lint bench bench-chat bench-fleet bench-world chaos chaos-chat fuzz conformance format \
        install-build install-test web-dist lint-rust lint-web \
        test-rust test-web test-clients test-nginx test-cluster test-chaos test-install test-python test-browser test-kafka test-oidc binaries

help: ## list what can be done
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' Makefile

run: install-build web-dist ## build everything and start the server at http://localhost:3000
	$(SAY) "building the server (the first time takes some minutes)"
	cargo build --release -p lakh-server
	$(TARGET)/release/lakh serve $(ARGS)

build: install-build web-dist ## build the binary
	$(SAY) "building the server (the first time takes some minutes)"
	cargo build --release -p lakh-server

install: package-files ## put binary, manual, completions and service below PREFIX (/usr/local), settings into /etc/lakh
	@root="$(DESTDIR)$(PREFIX)"; etc="$(DESTDIR)$(SYSCONFDIR)/lakh"; units="$(DESTDIR)$(UNITDIR)"
	install -Dm755 "$(LAKH)" "$$root/bin/lakh"
	install -Dm644 -t "$$root/share/man/man1" $(PACKAGE)/man/*.gz
	install -Dm644 $(PACKAGE)/lakh.bash "$$root/share/bash-completion/completions/lakh"
	install -Dm644 $(PACKAGE)/lakh.zsh "$$root/share/zsh/site-functions/_lakh"
	install -Dm644 $(PACKAGE)/lakh.fish "$$root/share/fish/vendor_completions.d/lakh.fish"
	install -Dm644 -t "$$root/share/doc/lakh/nginx" deploy/nginx/*.conf
	install -Dm644 -t "$$root/share/doc/lakh/nginx/lakh.d" deploy/nginx/lakh.d/*
	install -Dm644 deploy/systemd/lakh.socket "$$units/lakh.socket"
	sed 's|/usr/bin/lakh|$(PREFIX)/bin/lakh|; s|/etc/lakh|$(SYSCONFDIR)/lakh|' deploy/systemd/lakh.service |
	  install -Dm644 /dev/stdin "$$units/lakh.service"
	for file in lakh.env lakh.toml; do
	  test -e "$$etc/$$file" || install -Dm644 "deploy/systemd/$$file" "$$etc/$$file"
	done
	test -e "$$etc/auth-secret" || echo "the service wants a secret to sign tokens with:" \
	  "(umask 077; head -c 48 /dev/urandom | base64 -w 0 > $(SYSCONFDIR)/lakh/auth-secret)"

uninstall: ## take away what `make install` put there, but for the settings
	@root="$(DESTDIR)$(PREFIX)"
	rm -f "$$root/bin/lakh" "$$root"/share/man/man1/lakh.1.gz "$$root"/share/man/man1/lakh-*.1.gz
	rm -f "$$root/share/bash-completion/completions/lakh" "$$root/share/zsh/site-functions/_lakh"
	rm -f "$$root/share/fish/vendor_completions.d/lakh.fish" "$(DESTDIR)$(UNITDIR)"/lakh.{service,socket}
	rm -rf "$$root/share/doc/lakh"

deb: build package-files ## build a Debian package
	@if ! cargo deb --version >/dev/null 2>&1; then
	  printf '\n\033[1m%s\033[0m\n' "installing cargo-deb"
	  cargo install cargo-deb --locked
	fi
	cargo deb --package lakh-server --no-build --strip

# The manual and the completions are the binary's own words.
.PHONY: package-files
package-files:
	@test -x "$(LAKH)" || { echo "$(LAKH) is missing: run \`make build\` first"; exit 1; }
	rm -rf $(PACKAGE)
	mkdir -p $(PACKAGE)/man
	"$(LAKH)" man-pages $(PACKAGE)/man
	gzip -9n $(PACKAGE)/man/*.1
	for shell in bash zsh fish; do "$(LAKH)" completions $$shell > $(PACKAGE)/lakh.$$shell; done

test: install-test lint test-web test-rust test-clients test-nginx test-cluster test-chaos test-install test-python test-browser test-oidc ## check everything: style, units, real clients, nginx, fleets with Node servers, a real browser, a real OpenID provider, abuse
	$(SAY) "all tests passed"

lint: lint-rust lint-web ## formatting and lints, of Rust and of the page

lint-rust: web-dist
	$(SAY) "Rust: format, lints and documentation"
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --quiet

lint-web: web/node_modules/.installed
	$(SAY) "page: format, lints and types"
	npm --prefix web run --silent lint

format: web/node_modules/.installed ## put all sources into shape
	cargo fmt --all
	npm --prefix web run --silent format

test-web: binaries web/node_modules/.installed
	$(SAY) "page: unit tests"
	npm --prefix web test --silent

# With cargo-nextest where it is there; it runs no examples in documentation, so those follow. What is counted is built
# before: the test that counts would do it otherwise, beside others that run against the clock.
test-rust: install-test binaries tests/chaos/node_modules/.installed
	$(SAY) "Rust: units, protocol, abuse, a Rust client, counts"
	$(OPEN_FILES)
	cargo build --profile counts --package lakh-counts --bin lakh-counts
	if cargo nextest --version >/dev/null 2>&1; then
	  cargo nextest run --workspace --no-fail-fast
	  cargo test --workspace --doc
	else
	  cargo test --workspace --no-fail-fast
	fi

# What the tests start as processes. cargo builds them with the same settings as the tests themselves.
binaries: install-test web-dist
	$(SAY) "building the server and the examples (the first time takes some minutes)"
	cargo build --workspace --bins --examples

test-clients: binaries tests/conformance/node_modules/.installed
	$(SAY) "stock JavaScript clients"
	npm --prefix tests/conformance test --silent

test-nginx: binaries tests/nginx/node_modules/.installed
	$(SAY) "three nodes behind nginx"
	npm --prefix tests/nginx test --silent

test-chaos: binaries tests/chaos/node_modules/.installed
	$(SAY) "stock clients, while connections are cut and nodes are killed, stopped and restarted"
	$(TARGET)/debug/lakh-chaos --faults reset,half-open,stall,delay,pause --seconds 10 --clients 60 --rooms 6 --rate 60
	$(TARGET)/debug/lakh-chaos --faults kill,rolling,half-open --seconds 5 --clients 60 --rooms 6 --rate 60
	$(TARGET)/debug/lakh-chaos --nodes 3 --seconds 25 --clients 60 --rooms 6 --rate 60

test-cluster: binaries tests/cluster/node_modules/.installed
	$(SAY) "fleets of Lakh nodes and Node servers, over Redis"
	npm --prefix tests/cluster test --silent

test-install: binaries
	$(SAY) "make install and uninstall"
	tests/install/run.sh $(TARGET)/debug/lakh

test-python: binaries $(VENV)/.installed
	$(SAY) "stock Python clients"
	cd $(PYTHON_TESTS) && .venv/bin/pytest

# Apart from `test`: it fetches a client of Kafka from PyPI, whose mock cluster is the only broker of its kind that runs here.
test-kafka: install-test ## sources and sinks over Kafka's protocol
	$(SAY) "Kafka: librdkafka's mock cluster"
	test -x $(TARGET)/kafka/bin/python || python3 -m venv $(TARGET)/kafka
	$(TARGET)/kafka/bin/pip install --quiet confluent-kafka
	KAFKA_PYTHON=$(abspath $(TARGET))/kafka/bin/python cargo test -p lakh-bridge --features kafka kafka

test-browser: binaries tests/browser/node_modules/.installed
	$(SAY) "two people in a real browser"
	npm --prefix tests/browser test --silent

# The browser is driven by the package of tests/browser.
test-oidc: binaries tests/oidc/node_modules/.installed tests/browser/node_modules/.installed
	$(SAY) "sign-in at the page, with a real OpenID provider"
	npm --prefix tests/oidc test --silent

conformance: ## run the official protocol suites; SUITES=DIR names a checkout of socketio/socket.io
	@test -n "$(SUITES)" || { echo "usage: make conformance SUITES=DIR   (a checkout of socketio/socket.io)"; exit 2; }
	tools/conformance.sh "$(SUITES)"

fuzz: ## fuzz each parser, and sequences of operations, for a bounded time
	fuzz/run.sh $(ARGS)

bench: ## measure beside the floor and its peers, redraw docs/performance.md; ARGS="--quick" for a short run
	bench/run.sh $(ARGS)

bench-chat: ## measure chat beside one on socket.io that stores to Redis, and a room of 10,000 watchers; ARGS="--quick"
	bench/chat.py $(ARGS)

bench-world: ## measure worlds beside Colyseus and rooms of Socket.IO, and how many one core holds; ARGS="--quick"
	bench/world.py $(ARGS)

bench-fleet: ## measure fleets over Redis beside a single node and Node's cluster, and a lakh of connections; ARGS="--quick"
	bench/fleet.sh $(ARGS)

chaos: install-test web-dist tests/chaos/node_modules/.installed ## break nodes and connections under stock clients, compare what each saw; ARGS="--nodes 3 --seed 7"
	$(SAY) "building the server and the checker (the first time takes some minutes)"
	cargo build --release -p lakh-server -p lakh-chaos
	$(TARGET)/release/lakh-chaos $(ARGS)

chaos-chat: install-test web-dist tests/cluster/node_modules/.installed ## kill nodes under a chat in use, compare what each saw; ARGS="--nodes 3 --kills 50"
	$(SAY) "building the server (the first time takes some minutes)"
	cargo build --release -p lakh-server
	TEST_PROFILE=release node tests/cluster/support/killed/main.js $(ARGS)

install-build:
	@tools/install.sh build

install-test:
	@tools/install.sh test

# The page's own bytes go into the binary, so it is built before. Only when a source is newer.
WEB_SOURCES := $(shell find web -type f -not -path '*/node_modules/*' -not -path '*/dist/*' 2>/dev/null)

web-dist: web/dist/index.html

web/dist/index.html: web/node_modules/.installed $(WEB_SOURCES)
	$(SAY) "building the page"
	npm --prefix web run --silent build

# Any folder with a lock file. The stamp is newer than the lock as long as that has not changed.
%/node_modules/.installed: %/package-lock.json
	$(SAY) "installing npm packages into $*/node_modules"
	(cd $* && $(NPM_CI))
	touch $@

$(VENV)/.installed: $(PYTHON_TESTS)/requirements.txt
	$(SAY) "installing Python packages into $(VENV)"
	test -x $(VENV)/bin/python || python3 -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --disable-pip-version-check --requirement $<
	touch $@
