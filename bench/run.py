#!/usr/bin/env python3
"""Runs every scenario of the load generator against Lakh, the floor and the peers, and compares.

Runs are interleaved: each repeat goes through all scenarios, and within a scenario through all servers, so that a
machine that gets slower for a while is slow for everybody. What is shown is the median of the repeats, and its ratio to
the floor of the same scenario. Each run has a server of its own, fresh. With two cores and more the server has the first
(as many as it has loops) and the generator another.

Peers that can't be installed are skipped, and named.
"""

import argparse
import datetime
import json
import os
import platform
import resource
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import time
from pathlib import Path

BENCH = Path(__file__).resolve().parent
ROOT = BENCH.parent
PEERS = BENCH / "peers"
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")).resolve()
RELEASE = TARGET / "release"
OXIDE = TARGET / "peers" / "release" / "lakh-bench-socketioxide"
PORT = 3900


class Skip(Exception):
    """A server that isn't to be had here, and why."""


def sh(command, cwd=ROOT, env=None):
    """Runs a build step quietly; raises Skip with the end of what it said."""
    done = subprocess.run(
        command, cwd=cwd, text=True, capture_output=True, env={**os.environ, **(env or {})}
    )
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines()
        raise Skip(said[-1] if said else f"{command[0]} failed")


def build_own():
    sh("cargo build --release -p lakh-load -p lakh-floor -p lakh-bench-server".split())


def build_oxide():
    sh(
        "cargo build --release".split(),
        PEERS / "socketioxide",
        {"CARGO_TARGET_DIR": str(TARGET / "peers")},
    )


def build_npm(name):
    if not shutil.which("npm"):
        raise Skip("npm is not installed")
    if not (PEERS / name / "node_modules").exists():
        sh("npm ci --no-audit --no-fund --loglevel=error".split(), PEERS / name)


def build_bun():
    build_npm("node")
    build_npm("bun")
    sh([str(PEERS / "bun/node_modules/.bin/bun"), "--version"])


class Server:
    """How a server is built and started."""

    def __init__(self, command, build=None, env=None, cores=1):
        self.command = [str(part) for part in command]
        self.build = build
        self.env = env or {}
        self.cores = cores


SERVERS = {
    "floor": Server([RELEASE / "lakh-floor", "send"]),
    "floor-joined": Server([RELEASE / "lakh-floor", "joined"]),
    "floor-uring": Server([RELEASE / "lakh-floor", "uring"]),
    "lakh": Server([RELEASE / "lakh-bench-server"]),
    "lakh-without-recovery": Server([RELEASE / "lakh-bench-server", "--no-recovery"]),
    "lakh-2-loops": Server([RELEASE / "lakh-bench-server", "--loops", "2"], cores=2),
    "socketioxide": Server([OXIDE], build_oxide),
    "socketioxide-2-threads": Server([OXIDE], build_oxide, {"THREADS": "2"}, cores=2),
    "node": Server(["node", PEERS / "node/server.js"], lambda: build_npm("node")),
    "node-recovery": Server(
        ["node", PEERS / "node/server.js"], lambda: build_npm("node"), {"RECOVERY": "1"}
    ),
    "bun": Server([PEERS / "bun/node_modules/.bin/bun", PEERS / "bun/server.js"], build_bun),
}
# uWebSockets.js is not in the npm registry, only on its makers' own server.
ABSENT = {"uwebsockets": "not in the npm registry"}
DEFAULT = ["floor", "floor-joined", "floor-uring", "lakh", "socketioxide", "node", "bun"]


class Scenario:
    """Options of the generator, and what to compare. `floor` is who stands for 1.00."""

    def __init__(self, options, figures, floor="floor", env=None):
        self.options = options.split()
        self.figures = figures
        self.floor = floor
        self.env = env or {}


CPU = ["cpu_us_per_delivery", "user_us_per_delivery", "latency_p99_ms", "lost", "out_of_order"]
RATE = ["delivered_per_s", *CPU]
SCENARIOS = {
    "idle": Scenario(
        "idle -n {n} -r 2 -s 3",
        ["resident_kb_per_connection", "resident_kb_per_room", "cpu_us_per_connect"],
    ),
    "pings": Scenario(
        "idle -n 2000 -r 0 -s {s}", ["cpu_us_per_ping"], env={"PING_MS": "1000"}
    ),
    "fanout-10": Scenario("fanout -m 10 -s {s}", CPU),
    "fanout-100": Scenario("fanout -m 100 -s {s}", CPU),
    "fanout-1000": Scenario("fanout -m 1000 -s {s}", CPU),
    "fanout-10000": Scenario("fanout -m 10000 -s {s}", CPU),
    "fanout-100-1k": Scenario("fanout -m 100 -b 1024 -s {s}", CPU),
    "fanout-mixed": Scenario("fanout -m 50 -n 2000 -b 40,300,2000,64 -r 50000 -s {s}", CPU),
    "outstanding": Scenario("fanout -m 100 --outstanding 2 -s {s}", RATE, "floor-joined"),
    "ramp": Scenario(
        "ramp -m 1000 -s 3 --from 100000",
        ["most_delivered_per_s", "latency_p99_ms"],
        "floor-joined",
    ),
    "burst": Scenario("burst -m 10 -k 1000 --rounds 3", RATE, "floor-joined"),
    "overload": Scenario("fanout -m 1000 -r 5000000 -s 3", RATE, "floor-joined"),
    "echo": Scenario(
        "echo -s {s}", ["cpu_us_per_echo", "user_us_per_echo", "latency_p99_ms", "lost"]
    ),
    "tick": Scenario(
        "tick -n 1000 -s {s}", ["cpu_us_per_delivery", "jitter_p99_ms", "skipped"]
    ),
    "storm": Scenario(
        "storm -n {n}",
        [
            "all_back_s",
            "failed",
            "cpu_us_per_return",
            "resident_kb_before",
            "resident_kb_after",
            "resident_kb_all_gone",
        ],
    ),
    "slow": Scenario(
        "slow -s 10 -r 80000",
        ["before_p99_ms", "slow_p99_ms", "others_lost", "slow_one_got", "closed_by_server"],
    ),
}


def cores_for(server):
    """The server's cores and the generator's, for taskset; None where there is only one core."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        return None, None
    own = cores[: min(server.cores, len(cores) - 1)]
    return ",".join(map(str, own)), str(cores[-1])


def pinned(cores, command):
    return ["taskset", "-c", cores, *command] if cores and shutil.which("taskset") else command


def wait_for_port(process):
    deadline = time.monotonic() + 15
    while time.monotonic() < deadline:
        if process.poll() is not None:
            said = process.stderr.read().decode(errors="replace").strip().splitlines()
            raise Skip(said[-1] if said else f"ended with {process.returncode}")
        try:
            socket.create_connection(("127.0.0.1", PORT), timeout=1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise Skip("did not listen within 15 s")


def run_once(name, scenario, numbers):
    """One fresh server, one run of the generator: its report."""
    server = SERVERS[name]
    server_cores, own_cores = cores_for(server)
    env = {**os.environ, **server.env, **scenario.env, "LISTEN": f"127.0.0.1:{PORT}"}
    process = subprocess.Popen(
        pinned(server_cores, server.command),
        env=env,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    try:
        wait_for_port(process)
        options = [part.format(**numbers) for part in scenario.options]
        command = [RELEASE / "lakh-load", "--url", f"http://127.0.0.1:{PORT}/socket.io/"]
        command += ["--pid", process.pid, "--label", name, *options]
        done = subprocess.run(
            pinned(own_cores, [str(part) for part in command]),
            text=True,
            capture_output=True,
            timeout=300,
        )
        if done.returncode:
            said = done.stderr.strip().splitlines()
            return {"server": name, "error": said[-1] if said else "the generator failed"}
        return json.loads(done.stdout.strip().splitlines()[-1])
    except subprocess.TimeoutExpired:
        return {"server": name, "error": "not done within 300 s"}
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stderr.close()


def prepare(names):
    """Builds; gives back who can run, and why the others can't."""
    skipped = dict(ABSENT)
    build_own()
    ready = []
    built = {}
    for name in names:
        server = SERVERS[name]
        try:
            if server.build and server.build not in built:
                print(f"building {name}", file=sys.stderr)
                server.build()
                built[server.build] = True
            ready.append(name)
        except Skip as why:
            skipped[name] = str(why)
        except FileNotFoundError as why:
            skipped[name] = f"{why.filename} is not installed"
    return ready, skipped


def medians(reports):
    """The median of each figure over the repeats that worked."""
    found = {}
    for report in reports:
        for name, value in report.get("figures", {}).items():
            found.setdefault(name, []).append(value)
    return {name: statistics.median(values) for name, values in found.items()}


def shown(value):
    if value is None:
        return "–"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.2f}" if abs(value) < 100 else f"{value:.0f}"


def table(results, servers):
    """Markdown: for each scenario a row a server, each figure with its ratio to the floor."""
    lines = []
    for name, runs in results.items():
        scenario = SCENARIOS[name]
        middle = {server: medians(runs.get(server, [])) for server in servers}
        floor = middle.get(scenario.floor, {})
        lines += [f"\n### {name}: `{' '.join(scenario.options)}`\n"]
        lines += ["| | " + " | ".join(scenario.figures) + " |"]
        lines += ["|---|" + "---|" * len(scenario.figures)]
        for server in servers:
            cells = []
            for figure in scenario.figures:
                value, base = middle[server].get(figure), floor.get(figure)
                cell = shown(value)
                if value is not None and base and value:
                    cell += f" ({value / base:.2f})"
                cells.append(cell)
            errors = [r["error"] for r in runs.get(server, []) if "error" in r]
            if errors:
                cells[0] += f" *{errors[0]}*"
            lines.append(f"| {server} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def machine():
    model = next(
        (
            line.split(":", 1)[1].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, text=True, capture_output=True
    )
    return {
        "processor": model,
        "cores": len(os.sched_getaffinity(0)),
        "kernel": platform.release(),
        "load_before": os.getloadavg()[0],
        "commit": commit.stdout.strip(),
        "at": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
    }


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--servers", default=",".join(DEFAULT), help=", ".join(SERVERS))
    parser.add_argument("--scenarios", default=",".join(SCENARIOS), help=", ".join(SCENARIOS))
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=5, help="of each measurement")
    parser.add_argument("--quick", action="store_true", help="one repeat, two seconds each")
    parser.add_argument("--no-store", action="store_true", help="store no JSON")
    chosen = parser.parse_args()
    if chosen.quick:
        chosen.repeats, chosen.seconds = 1, 2
    for value, known in ((chosen.servers, SERVERS), (chosen.scenarios, SCENARIOS)):
        for name in value.split(","):
            if name not in known:
                parser.error(f"{name} is none of {', '.join(known)}")
    return chosen


def raise_descriptors():
    """Everything started from here may have as many descriptors as the system allows."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def main():
    chosen = arguments()
    descriptors = raise_descriptors()
    numbers = {"n": min(10_000, descriptors - 500), "s": chosen.seconds}
    about = machine()
    servers, skipped = prepare(chosen.servers.split(","))
    names = chosen.scenarios.split(",")
    results = {name: {} for name in names}
    for repeat in range(chosen.repeats):
        for name in names:
            for server in servers:
                print(f"{repeat + 1}/{chosen.repeats} {name} {server}", file=sys.stderr)
                try:
                    report = run_once(server, SCENARIOS[name], numbers)
                except Skip as why:
                    report = {"server": server, "error": str(why)}
                results[name].setdefault(server, []).append(report)
    text = f"{about['cores']} cores, {about['processor']}, kernel {about['kernel']}, commit {about['commit']}; "
    text += f"medians of {chosen.repeats}; in brackets the ratio to the floor.\n" + table(results, servers)
    for name, why in skipped.items():
        text += f"\nSkipped {name}: {why}."
    print(text)
    if not chosen.no_store:
        store(about, results, skipped, text)


def store(about, results, skipped, text):
    folder = BENCH / "results"
    folder.mkdir(exist_ok=True)
    stem = f"{about['at'][:10]}-{about['commit']}"
    content = {"machine": about, "skipped": skipped, "results": results}
    (folder / f"{stem}.json").write_text(json.dumps(content, indent=1) + "\n")
    (folder / f"{stem}.md").write_text(text)
    print(f"stored in {folder / stem}.json and .md", file=sys.stderr)


if __name__ == "__main__":
    main()
