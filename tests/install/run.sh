#!/usr/bin/env bash
# `make install` and `make uninstall` below an empty folder: what is there, that it works, that nothing is left.
#
#   tests/install/run.sh BINARY
set -euo pipefail
cd "$(dirname "$0")/../.."

binary=$(realpath "$1")
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
fail() {
  echo "install: $*" >&2
  exit 1
}
make_it() { # the target
  make --no-print-directory "$1" DESTDIR="$folder" PREFIX=/opt/lakh SYSCONFDIR=/opt/etc LAKH="$binary" >/dev/null
}

make_it install
root=$folder/opt/lakh
"$root/bin/lakh" --version >/dev/null || fail "the binary does not run"
for file in share/man/man1/lakh{,-serve,-token}.1.gz share/doc/lakh/nginx/lakh.d/endpoint.inc \
  share/bash-completion/completions/lakh share/zsh/site-functions/_lakh share/fish/vendor_completions.d/lakh.fish \
  lib/systemd/system/lakh.{service,socket}; do
  test -s "$root/$file" || fail "$file is missing"
done
unit=$root/lib/systemd/system/lakh.service
grep -q '^ExecStart=/opt/lakh/bin/lakh serve$' "$unit" || fail "the unit starts another binary"
! grep -q '[= ]/etc/lakh\|:/etc/lakh' "$unit" || fail "the unit reads settings elsewhere"
bash -n "$root/share/bash-completion/completions/lakh" || fail "the completions are no bash"

# What a person has set stays as it is, over an update and over uninstalling.
echo 'LAKH_NODE=n07' >"$folder/opt/etc/lakh/lakh.env"
make_it install
make_it uninstall
left=$(cd "$folder" && find . -type f | sort | tr '\n' ' ')
test "$left" = './opt/etc/lakh/lakh.env ./opt/etc/lakh/lakh.toml ' || fail "left behind: $left"
grep -q n07 "$folder/opt/etc/lakh/lakh.env" || fail "the settings were overwritten"

# The bound that the unit is held to; where systemd is there to tell.
if command -v systemd-analyze >/dev/null; then
  systemd-analyze security --offline=true --threshold=20 deploy/systemd/lakh.service >/dev/null ||
    fail "lakh.service is exposed by more than 2.0: systemd-analyze security --offline=true deploy/systemd/lakh.service"
fi
echo "install: passed"
