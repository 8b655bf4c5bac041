#!/usr/bin/env bash
# All scenarios against all servers: `bench/run.sh --quick`, `bench/run.sh --help`.
set -euo pipefail
exec python3 "$(dirname "$0")/run.py" "$@"
