#!/usr/bin/env bash
# Installs what a part of the project needs and this machine lacks. Says what it does before it does it, and does
# nothing when all is there.
#
#   tools/install.sh build      what the binary needs beside Rust and Node (a C compiler, for SQLite)
#   tools/install.sh test       what the tests need: Chromium, Python's venv, OpenSSL's headers for one test client,
#                               valgrind to count instructions, Redis, NATS, RabbitMQ, nginx (and openssl for its certificate)
#
# Debian packages are installed with apt-get, by sudo for whoever is not root. Elsewhere, and without sudo, the names of
# what is missing are told and the exit code is 1.
set -euo pipefail

missing=()
need() { # a check, then the Debian package that makes it pass
  local package=$1
  shift
  "$@" >/dev/null 2>&1 || missing+=("$package")
}
has() { command -v "$1"; }
# ensurepip is what Debian splits off from Python into python3-venv.
has_venv() { python3 -c 'import ensurepip, venv'; }
has_openssl() { pkg-config --exists openssl; }
# Debian keeps these in /usr/sbin, which is not on everybody's path.
has_nats() { has nats-server || [ -x /usr/sbin/nats-server ]; }
has_rabbitmq() { has rabbitmq-server || [ -x /usr/sbin/rabbitmq-server ]; }
has_nginx() { has nginx || [ -x /usr/sbin/nginx ]; }
has_chromium() { [ -n "${CHROMIUM:-}" ] || has chromium || has chromium-browser; }

need_tool() {
  if ! has "$1" >/dev/null; then
    echo "$1 is missing: $2" >&2
    exit 1
  fi
}
need_tool cargo "install Rust, see https://rustup.rs"
need_tool npm "install Node.js 20 or newer, with npm"

case ${1:-test} in
  build) need gcc has cc ;;
  test)
    need gcc has cc
    need pkg-config has pkg-config
    need libssl-dev has_openssl
    need python3-venv has_venv
    need chromium has_chromium
    need valgrind has valgrind
    need redis-server has redis-server
    need nats-server has_nats
    need rabbitmq-server has_rabbitmq
    need nginx has_nginx
    need openssl has openssl
    ;;
  *) echo "usage: tools/install.sh build|test" >&2; exit 2 ;;
esac

[ ${#missing[@]} -gt 0 ] || exit 0

as_root=()
if [ "$(id -u)" -ne 0 ]; then
  if has sudo >/dev/null; then
    as_root=(sudo)
  else
    echo "missing: ${missing[*]}. Install them (on Debian: apt-get install ${missing[*]}) and try again." >&2
    exit 1
  fi
fi
if ! has apt-get >/dev/null; then
  echo "missing: ${missing[*]} (Debian's names). Install them and try again." >&2
  exit 1
fi
echo "installing Debian packages: ${missing[*]}"
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get update -qq
# The tests start servers of their own, on free ports: those of the packages stay off while they are installed, unless
# this machine has a policy of its own. Servers that run already are left alone.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  trap '"${as_root[@]}" rm -f "$policy"' EXIT
  printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee "$policy" >/dev/null
  "${as_root[@]}" chmod +x "$policy"
fi
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}"
