#!/usr/bin/env python3
"""Measures chat: Lakh's, and one on Node's socket.io that keeps its messages in Redis; in turn, the same load on each.

    bench/chat.py                                  # all loads, all servers: about half an hour
    bench/chat.py --quick                          # one repeat, two seconds each; stores and writes nothing
    bench/chat.py --loads room --servers lakh,node --repeats 5

An acknowledged message is stored; how safely depends on the store, and is told with each server. Processor time is that
of the server and, told apart, of Redis; `backend` is both together. Runs are interleaved: each repeat goes through all
loads, and within a load through all servers, each fresh, with a store of its own that is empty. With two cores the
server has the first, and Redis and the generator have the other.

`watchers` is one room with 10,000 who look on, and when the last of them has each message.

Results are stored in bench/results/, and chat's part of docs/performance.md is written from a complete run.
"""

import argparse
import json
import os
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

import chat_tables
from fleet import about, cores
from nodes import Processes, Redis
from run import check_known, free_port, hand_over, pinned, raise_descriptors, redraw, say, store_arguments
from servers import PEERS, RELEASE, Skip, build_node, sh

# People of the load generator send more than people do; nobody is held to a pace, and all ten thousand come at once.
SETTINGS = """
[server]
loops = 1
bind = "127.0.0.1:{port}"
data = "{folder}/data"

[chat]
messages_per_second = 1000000

[limits]
max_lag_ms = 60000
"""
# One node needs no broker.
REDIS = """
[redis]
url = "{url}"
broker = "{broker}"
store = "redis"
"""


class Kind:
    """A server. `synced` is how its Redis writes its log, `broker` how nodes would reach each other, if there were more."""

    def __init__(self, title, durable, synced=None, broker=None, node=False):
        self.title = title
        self.durable = durable
        self.synced = synced
        self.broker = broker
        self.node = node


ON_DISK = "on the disk"
A_SECOND = "outlives the process; a power cut takes a second at most"
KINDS = {
    "lakh": Kind("Lakh, SQLite", ON_DISK),
    "lakh-redis": Kind("Lakh, Redis `everysec`", A_SECOND, "everysec"),
    "lakh-redis-streams": Kind("Lakh, Redis `everysec`, streams", A_SECOND, "everysec", "streams"),
    "node": Kind("Node, Redis `everysec`", A_SECOND, "everysec", node=True),
    "node-always": Kind("Node, Redis `always`", ON_DISK, "always", node=True),
    "node-streams": Kind("Node, Redis `everysec`, streams", A_SECOND, "everysec", "streams", node=True),
}
ALONE = ["lakh", "lakh-redis", "node", "node-always"]


class Load:
    """`servers` are those that are measured unless others are asked for; `base` stands for 1.00."""

    def __init__(self, title, options, servers=None, base="node"):
        self.title = title
        self.options = options
        self.servers = servers or list(KINDS)
        self.base = base


LOADS = {
    "room": Load("one room of 100, 100 messages a second", "-m 100 -r 100"),
    "rooms": Load("ten rooms of 100, 200 messages a second", "-m 100 -n 1000 -r 200"),
    "busy": Load("one room of 100, 500 messages a second", "-m 100 -r 500", ALONE),
    "full": Load("one room of 100, 16 messages waiting at any time", "-m 100 --outstanding 16", ALONE),
    "small": Load("a hundred rooms of 10, 1,000 messages a second", "-m 10 -n 1000 -r 1000", ALONE),
    "watchers": Load(
        "one room: 10 members, 10,000 who look on, 20 messages a second",
        "-m 10 -w 10000 -r 20 --connect-rate 1000",
        ["lakh", "lakh-redis"],
        None,
    ),
}


def arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--loads", default=",".join(LOADS), help=", ".join(LOADS))
    parser.add_argument("--servers", help=", ".join(KINDS) + "; by default those that each load is for")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=10, help="of each measurement")
    parser.add_argument("--lakh", default=str(RELEASE / "lakh"), help="the binary")
    parser.add_argument("--set", default="", help="lines for lakh.toml, parted by ;")
    parser.add_argument("--quick", action="store_true", help="one repeat, two seconds each")
    store_arguments(parser)
    chosen = parser.parse_args()
    if chosen.quick:
        chosen.repeats, chosen.seconds, chosen.no_store = 1, 2, True
    chosen.loads = chosen.loads.split(",")
    chosen.servers = chosen.servers.split(",") if chosen.servers else None
    check_known(parser, chosen.loads, LOADS)
    check_known(parser, chosen.servers or [], KINDS)
    return chosen


def start(processes, kind, folder, redis, options):
    """The server, and where it is."""
    server_cores, port = cores()[0], free_port()
    if kind.node:
        env = {"LISTEN": f"127.0.0.1:{port}", "REDIS": redis.url}
        env |= {"ADAPTER": kind.broker} if kind.broker else {}
        process = processes.start(["node", PEERS / "node/chat.js"], server_cores, env, port)
    else:
        text = SETTINGS.format(port=port, folder=folder) + options.set.replace(";", "\n")
        if redis:
            broker = f"redis-{kind.broker}" if kind.broker else "local"
            text += REDIS.format(url=redis.url, broker=broker)
        (Path(folder) / "lakh.toml").write_text(text)
        process = processes.start([options.lakh, "serve"], server_cores, port=port, cwd=folder)
    return process, f"http://127.0.0.1:{port}/socket.io/"


def run_once(name, load, options):
    """A fresh server with an empty store, one run of the generator: its report."""
    kind, own_core = KINDS[name], cores()[1]
    with tempfile.TemporaryDirectory() as folder, Processes() as processes:
        redis = Redis(processes, folder, own_core, kind.synced) if kind.synced else None
        server, url = start(processes, kind, folder, redis, options)
        command = [RELEASE / "lakh-load", "--url", url, "--quiet", "--pid", server.pid, "--label", name]
        command += ["--broker-pid", redis.pid] if redis else []
        command += ["chat", *shlex.split(load.options), "-s", options.seconds]
        done = subprocess.run(
            pinned(own_core, [str(part) for part in command]), text=True, capture_output=True, timeout=300
        )
    if done.returncode:
        said = done.stderr.strip().splitlines()
        raise Skip(said[0] if said else "the generator failed")
    return json.loads(done.stdout.strip().splitlines()[-1])


def measure(options, skipped):
    """Loads to servers to reports."""
    found = {name: {} for name in options.loads}
    for repeat in range(options.repeats):
        for load in options.loads:
            asked = options.servers or LOADS[load].servers
            names = [name for name in asked if name not in skipped]
            # Forth, then back: whoever is always first would always have the cooler machine.
            for name in names if repeat % 2 == 0 else names[::-1]:
                say(f"{repeat + 1}/{options.repeats} {load} {name}")
                try:
                    report = run_once(name, LOADS[load], options)
                except (Skip, subprocess.TimeoutExpired) as why:
                    report = {"server": name, "error": str(why)}
                    say(f"  {why}")
                found[load].setdefault(name, []).append(report)
    return found


def prepare(options):
    """Builds; why some can't run."""
    sh("cargo build --release -p lakh-load".split())
    if not os.path.exists(options.lakh):
        sh("cargo build --release -p lakh-server".split())
    try:
        build_node()
    except Skip as why:
        return {name: str(why) for name, kind in KINDS.items() if kind.node}
    return {}


def main():
    options = arguments()
    if options.docs_only:
        return redraw(options.docs_only, chat_tables)
    raise_descriptors()
    skipped = prepare(options)
    content = {
        "machine": about(options),
        "skipped": skipped,
        "seconds": options.seconds,
        "servers": {name: {"title": kind.title, "durable": kind.durable} for name, kind in KINDS.items()},
        "loads": {
            name: {"title": LOADS[name].title, "options": LOADS[name].options, "base": LOADS[name].base}
            for name in options.loads
        },
    }
    content["runs"] = measure(options, skipped)
    is_complete = set(options.loads) == set(LOADS) and not options.servers
    hand_over(content, chat_tables, "-chat", options, is_complete)


if __name__ == "__main__":
    try:
        main()
    except Skip as why:
        sys.exit(f"chat.py: {why}")
