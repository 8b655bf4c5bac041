#!/usr/bin/env bash
# Runs the official Engine.IO and Socket.IO protocol suites, unmodified, against examples/conformance.rs.
#
#   tools/conformance.sh DIR [SUITE…]     DIR: a checkout of the repository socketio/socket.io
#   SUITE: socket.io-v5, engine.io-v4, engine.io-v3 (all of them by default)
#
# The suites speak to localhost:3000; the port is theirs, not ours. Each is copied to a temporary folder and
# installed there, so DIR stays as it was. TEST_CONFORMANCE names another server to run them against
# (any program that listens on $PORT).
# The exit code is 0 when no case failed in any suite, but for one: the v3 suite's WebSocket case "sends and
# receives a plain text packet" starts to listen for the handshake only after it was told of the opening, and
# misses it when both arrive in one segment. It fails so against Node's own server as well.
set -euo pipefail

here=$(cd "$(dirname "$0")/.." && pwd)
suites=${1:?"usage: tools/conformance.sh DIR [SUITE…], DIR being a checkout of socketio/socket.io"}
shift
[ -d "$suites/docs" ] || { echo "$suites has no docs/ folder: give a checkout of socketio/socket.io" >&2; exit 2; }
[ $# -gt 0 ] || set -- socket.io-v5 engine.io-v4 engine.io-v3

work=$(mktemp -d)
server_pid=
stop_server() {
  if [ -n "$server_pid" ]; then
    kill "$server_pid" 2>/dev/null || true
    wait "$server_pid" 2>/dev/null || true
    server_pid=
  fi
}
trap 'stop_server; rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

server=${TEST_CONFORMANCE:-}
if [ -z "$server" ]; then
  echo "conformance: building examples/conformance.rs"
  (cd "$here" && cargo build --quiet -p lakh --example conformance)
  server=${CARGO_TARGET_DIR:-$here/target}/debug/examples/conformance
fi

if (exec 3<>/dev/tcp/127.0.0.1/3000) 2>/dev/null; then
  echo "conformance: port 3000 is taken; the suites know no other" >&2
  exit 1
fi
PORT=3000 "$server" >"$work/server.log" 2>&1 &
server_pid=$!
listens() { (exec 3<>/dev/tcp/127.0.0.1/3000) 2>/dev/null; }
for _ in $(seq 100); do
  { listens || ! kill -0 "$server_pid" 2>/dev/null; } && break
  sleep 0.1
done
if ! listens || ! kill -0 "$server_pid" 2>/dev/null; then
  echo "conformance: the server did not start on port 3000 (is it taken?). Its log:" >&2
  cat "$work/server.log" >&2
  exit 1
fi

folder_of() {
  case $1 in
    socket.io-v5) echo docs/socket.io-protocol/v5-test-suite ;;
    engine.io-v4) echo docs/engine.io-protocol/v4-test-suite ;;
    engine.io-v3) echo docs/engine.io-protocol/v3-test-suite ;;
    *) echo "no suite named $1" >&2; exit 2 ;;
  esac
}

# "  32 passing (5s)" → 32; nothing → 0
count_of() { sed -n "s/^ *\([0-9]\+\) $1.*/\1/p" "$2" | tail -1 | grep . || echo 0; }

# The case that may fail alone, see above.
race_of() { [ "$1" = engine.io-v3 ] && echo "sends and receives a plain text packet" || echo; }

failed_suites=0
for suite in "$@"; do
  folder=$suites/$(folder_of "$suite")
  copy=$work/$suite
  cp -r "$folder" "$copy"
  [ -d "$copy/node_modules" ] || {
    echo "conformance: $suite: npm ci"
    (cd "$copy" && npm ci --no-audit --no-fund --loglevel=error >"$work/npm.log" 2>&1) || { cat "$work/npm.log" >&2; exit 1; }
  }
  echo "conformance: $suite: npm test"
  code=0
  # --exit: mocha 9 otherwise waits for ever for the socket that a failed case left open.
  (cd "$copy" && timeout 300 npm test -- --exit 2>&1) | tee "$work/$suite.log" || code=$?
  passing=$(count_of passing "$work/$suite.log")
  failing=$(count_of failing "$work/$suite.log")
  pending=$(count_of pending "$work/$suite.log")
  echo "$suite: $passing passed, $failing failed, $pending skipped"
  echo "$suite: $passing passed, $failing failed, $pending skipped (exit code $code)" >>"$work/summary"
  race=$(race_of "$suite")
  if [ "$failing" -eq 1 ] && [ -n "$race" ] && grep -q "^ *1) $race" "$work/$suite.log"; then
    echo "$suite: the failed case is the known race of the suite itself, not counted" | tee -a "$work/summary"
    code=0
  fi
  if [ "$code" -ne 0 ] || [ "$passing" -eq 0 ]; then failed_suites=$((failed_suites + 1)); fi
  if ! kill -0 "$server_pid" 2>/dev/null; then
    echo "conformance: the server died during $suite. Its log:" >&2
    tail -50 "$work/server.log" >&2
    exit 1
  fi
done

echo
echo "conformance: summary"
cat "$work/summary"
[ "$failed_suites" -eq 0 ]
