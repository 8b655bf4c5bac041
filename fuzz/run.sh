#!/usr/bin/env bash
# Builds fuzz targets and runs each for SECONDS (default 30), one after the other; all of them if none is named.
#   fuzz/run.sh [SECONDS] [TARGET…]
# Needs a C++ compiler for libFuzzer, but neither cargo-fuzz nor a nightly toolchain: the coverage that libFuzzer
# follows is an LLVM pass, which a stable compiler takes as a flag. New inputs are collected under the target folder;
# corpus/ holds the committed seeds and is only read. A crash leaves its input in artifacts/ and ends the run.
set -euo pipefail
cd "$(dirname "$0")"

seconds="${1:-30}"
shift || true
targets=("$@")
if [ "${#targets[@]}" -eq 0 ]; then
    for file in fuzz_targets/*.rs; do
        targets+=("$(basename "$file" .rs)")
    done
fi
bins=()
for target in "${targets[@]}"; do
    bins+=(--bin "$target")
    case "$target" in
        auth_*) bins+=(--features auth) ;;
        bridge_*) bins+=(--features bridge) ;;
        rooms_*) bins+=(--features rooms) ;;
        files_*) bins+=(--features files) ;;
        net_*) bins+=(--features net) ;;
        broker_*) bins+=(--features broker) ;;
        land_* | world_*) bins+=(--features world) ;;
    esac
done

target_dir="${CARGO_TARGET_DIR:-$PWD/target}/fuzz"
host="$(rustc -vV | sed -n 's/^host: //p')"
# With --target, build scripts and macros stay without these flags.
RUSTFLAGS="--cfg fuzzing -Ccodegen-units=1 -Cpasses=sancov-module \
-Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
-Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares" \
    cargo build --quiet --release "${bins[@]}" --target "$host" --target-dir "$target_dir"

mkdir -p artifacts
for target in "${targets[@]}"; do
    found="$target_dir/corpus/$target"
    log="$target_dir/$target.log"
    mkdir -p "$found" "corpus/$target"
    if ! "$target_dir/$host/release/$target" \
        -max_total_time="$seconds" -rss_limit_mb=1024 -timeout=10 -max_len=4096 \
        -artifact_prefix="artifacts/$target-" "$found" "corpus/$target" >"$log" 2>&1; then
        echo "$target FAILED; its input is in fuzz/artifacts, its log is $log"
        tail -n 40 "$log"
        exit 1
    fi
    echo "$target: $(tail -n 1 "$log")"
done
echo "${#targets[@]} passed, 0 failed"
