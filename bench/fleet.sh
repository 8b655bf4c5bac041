#!/usr/bin/env bash
# Fleets: `bench/fleet.sh --quick`, `bench/fleet.sh --help`.
set -euo pipefail
exec python3 "$(dirname "$0")/fleet.py" "$@"
