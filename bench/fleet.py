#!/usr/bin/env python3
"""Measures fleets: what fan-out over Redis costs beside a single node and Node's cluster, and a crowd on many nodes.

`cost`: rooms whose members are spread over two nodes, all publishers on the first. Processor time is summed over the
nodes; Redis' own is told apart. Runs are interleaved: each repeat goes through all rooms, and within a room through
all fleets. With two cores the nodes share the first, all of them, and Redis and the generator have the other.

`crowd`: a lakh of connections on six nodes, in one room, and the time until a broadcast has reached the last.

Results are stored in bench/results/, and the fleets' part of docs/performance.md is written from a complete run.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile

import crowd
import fleet_tables
from nodes import FLEETS, Processes, Redis, start_nodes
from run import check_known, hand_over, machine, pinned, raise_descriptors, redraw, say, store_arguments
from servers import PEERS, RELEASE, Skip, build_node, sh

PARTS = ("cost", "crowd")


def arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--parts", default=",".join(PARTS), help=", ".join(PARTS))
    parser.add_argument("--fleets", default=",".join(FLEETS), help=", ".join(FLEETS))
    parser.add_argument("--members", default="10,100,1000", help="of a room, for cost")
    parser.add_argument("--rate", type=float, default=20_000, help="deliveries a second, for cost")
    parser.add_argument("--seconds", type=float, default=3, help="of each measurement, for cost")
    parser.add_argument("--repeats", type=int, default=2, help="for cost")
    parser.add_argument("--connections", type=int, default=100_000, help="of the crowd")
    parser.add_argument("--nodes", type=int, default=6, help="for the crowd")
    parser.add_argument("--adapter", default="streams", help="of the crowd's nodes")
    parser.add_argument("--broadcasts", type=int, default=5, help="to the crowd")
    parser.add_argument(
        "--quick", action="store_true", help="one second each, a crowd of 6,000; stores and writes nothing"
    )
    store_arguments(parser)
    chosen = parser.parse_args()
    if chosen.quick:
        chosen.repeats, chosen.seconds, chosen.rate = 1, 1, 10_000
        chosen.connections, chosen.broadcasts, chosen.no_store = 6_000, 2, True
    chosen.parts, chosen.fleets = chosen.parts.split(","), chosen.fleets.split(",")
    chosen.members = [int(members) for members in chosen.members.split(",")]
    check_known(parser, chosen.parts, PARTS)
    check_known(parser, chosen.fleets, FLEETS)
    return chosen


def cores():
    """The nodes' core, and the generator's and Redis'; None where there is only one."""
    all_cores = sorted(os.sched_getaffinity(0))
    return (str(all_cores[0]), str(all_cores[-1])) if len(all_cores) > 1 else (None, None)


def run_once(name, members, redis, options):
    """Fresh nodes, one run of the generator: its report."""
    fleet = FLEETS[name]
    nodes_core, own_core = cores()
    redis.flush()
    with Processes() as processes:
        nodes, urls = start_nodes(processes, fleet, redis, nodes_core)
        command = [RELEASE / "lakh-load", "--url", ",".join(urls), "--dialect", "bench", "--quiet"]
        command += ["--pid", ",".join(str(node.pid) for node in nodes), "--label", name]
        command += ["--broker-pid", redis.pid] if fleet.adapter else []
        command += ["fanout", "-m", members, "-b", 64, "-r", options.rate, "-s", options.seconds]
        done = subprocess.run(
            pinned(own_core, [str(part) for part in command]), text=True, capture_output=True, timeout=180
        )
    if done.returncode:
        said = done.stderr.strip().splitlines()
        raise Skip(said[0] if said else "the generator failed")
    return json.loads(done.stdout.strip().splitlines()[-1])


def measure_cost(options, ready):
    """Members of a room to fleet to reports."""
    found = {str(members): {} for members in options.members}
    with Processes() as processes, tempfile.TemporaryDirectory() as folder:
        redis = Redis(processes, folder, cores()[1])
        for repeat in range(options.repeats):
            for members in options.members:
                for name in ready:
                    say(f"{repeat + 1}/{options.repeats} room of {members} {name}")
                    try:
                        report = run_once(name, members, redis, options)
                    except (Skip, subprocess.TimeoutExpired) as why:
                        report = {"server": name, "error": str(why)}
                        say(f"  {why}")
                    found[str(members)].setdefault(name, []).append(report)
    return found


def prepare(chosen):
    """Builds; gives back which fleets can run, and why the others can't."""
    sh("cargo build --release -p lakh-load -p lakh-bench-server".split())
    names, skipped = list(chosen.fleets), {}
    if "cost" in chosen.parts and any(name.startswith("node") for name in names):
        try:
            build_node()
        except Skip as why:
            skipped = {name: str(why) for name in names if name.startswith("node")}
    return [name for name in names if name not in skipped], skipped


def about(options):
    """The machine, and what ran on it."""
    found = machine(options.repeats)
    packages = json.loads((PEERS / "node/package.json").read_text())["dependencies"]
    found["versions"] = {"Node": found["versions"].get("Node", "?"), **packages}
    version = subprocess.run(["redis-server", "--version"], text=True, capture_output=True)
    found["versions"]["Redis"] = version.stdout.split("v=")[-1].split()[0]
    return found


def main():
    chosen = arguments()
    if chosen.docs_only:
        return redraw(chosen.docs_only, fleet_tables)
    raise_descriptors()
    ready, skipped = prepare(chosen)
    content = {"machine": about(chosen), "skipped": skipped}
    content["parameters"] = {"rate": chosen.rate, "seconds": chosen.seconds, "bytes": 64}
    if "crowd" in chosen.parts:
        asked = {name: getattr(chosen, name) for name in ("connections", "nodes", "adapter")}
        content["crowd"] = {"parameters": asked, **crowd.measure(chosen, say)}
    if "cost" in chosen.parts:
        content["cost"] = measure_cost(chosen, ready)
    is_complete = set(chosen.parts) == set(PARTS) and set(chosen.fleets) == set(FLEETS)
    hand_over(content, fleet_tables, "-fleet", chosen, is_complete)


if __name__ == "__main__":
    try:
        main()
    except Skip as why:
        sys.exit(f"fleet.py: {why}")
