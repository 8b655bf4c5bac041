#!/usr/bin/env python3
"""Measures worlds: Lakh's, one on Colyseus and one on plain rooms of Socket.IO; in turn, the same bots in each.

    bench/world.py                                 # all scenes, all servers, three repeats: about half an hour
    bench/world.py --quick                         # one repeat, three seconds each; stores and writes nothing
    bench/world.py --scenes uniform,churn --servers lakh,colyseus --people 500
    bench/world.py --parts crowd                   # how many one core holds with ticks below 50 ms
    bench/world.py --parts hotspot                 # what becomes of 5,000 in one place
    bench/world.py --docs-only bench/results/FILE-world.json

Bots walk at seeded random waypoints and say where they are 20 times a second; some of them decode what they get and are
held against the truth (`lakh-load world`). An update is that a bot shows somebody in its sight within 12 cm of where they
were no longer than 100 ms ago, once a tick. Processor time is all of the server's, kernel included, for everything that
it does meanwhile: taking moves, working out who sees what, encoding, sending.

Runs are interleaved: each repeat goes through all scenes, and within a scene through all servers, each fresh. With two
cores the server has the first, the generator the other.
"""

import argparse
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import world_tables
from fleet import about, cores
from nodes import Processes
from run import check_known, free_port, hand_over, pinned, raise_descriptors, redraw, say, store_arguments
from servers import PEERS, RELEASE, Skip, build_node, build_npm, sh

# All come from one address, and all at once.
SETTINGS = """
[server]
loops = 1
bind = "127.0.0.1:{port}"
data = "{folder}/data"
"""
# No faster than a server's event loop can greet them.
CONNECTS_A_SECOND = 500
LIMIT_MS = 50
# Less complete than this, a crowd is not held, however short its ticks are.
HELD_PERCENT = 90


class Kind:
    """A server, what the generator calls it, and how it's started if it's a program of Node."""

    def __init__(self, title, dialect, script=None, build=None):
        self.title = title
        self.dialect = dialect
        self.script = script
        self.build = build


KINDS = {
    "lakh": Kind("Lakh", "lakh"),
    "colyseus": Kind("Colyseus 0.18, `StateView`", "colyseus", "colyseus/world.js", lambda: build_npm("colyseus")),
    "rooms": Kind("Node, Socket.IO rooms", "rooms", "node/world.js", build_node),
}


class Scene:
    def __init__(self, title, options):
        self.title = title
        self.options = options


SCENES = {
    "uniform": Scene("walking at 1 to 6 m/s, about 60 in sight", "--scene uniform"),
    "hotspot": Scene("all within 60 m", "--scene hotspot"),
    "churn": Scene("crossing at 20 to 40 m/s, about 60 in sight", "--scene churn"),
    "flash": Scene("half of them come in at once as it begins to count", "--scene flash"),
    "slow": Scene("one in ten reads only every 400 ms", "--scene slow"),
}
PARTS = ["scenes", "crowd", "hotspot"]
# Thousands in one place are more than the others hold anywhere.
HOTSPOT_SERVERS = ["lakh"]


def arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--parts", default=",".join(PARTS), help=", ".join(PARTS))
    parser.add_argument("--scenes", default=",".join(SCENES), help=", ".join(SCENES))
    parser.add_argument("--servers", default=",".join(KINDS), help=", ".join(KINDS))
    parser.add_argument("--people", type=int, default=300, help="of each scene")
    parser.add_argument("--most", type=int, default=4800, help="of the largest crowd that is tried")
    parser.add_argument("--hotspots", default="2500,5000", help="people of the part hotspot")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=10, help="of each measurement")
    parser.add_argument("--lakh", default=str(RELEASE / "lakh"), help="the binary")
    parser.add_argument("--set", default="", help="lines for lakh.toml, parted by ;")
    parser.add_argument("--quick", action="store_true", help="one repeat, three seconds each")
    parser.add_argument("--note", default="", help="a sentence about the run, for the tables")
    store_arguments(parser)
    chosen = parser.parse_args()
    if chosen.quick:
        chosen.repeats, chosen.seconds, chosen.no_store = 1, 3, True
        chosen.most = min(chosen.most, 2 * chosen.people)
        chosen.hotspots = "500"
    chosen.hotspots = [int(people) for people in chosen.hotspots.split(",")]
    for name, known in (("parts", PARTS), ("scenes", SCENES), ("servers", KINDS)):
        setattr(chosen, name, getattr(chosen, name).split(","))
        check_known(parser, getattr(chosen, name), known)
    return chosen


def start(processes, kind, folder, options):
    """The server, where it is, and where it tells how long its ticks take."""
    server_cores, port = cores()[0], free_port()
    url = f"http://127.0.0.1:{port}"
    if kind.script:
        figures = free_port() if kind.dialect == "colyseus" else port
        env = {"LISTEN": f"127.0.0.1:{port}", "FIGURES": str(figures), "NODE_ENV": "production"}
        process = processes.start(["node", PEERS / kind.script], server_cores, env, port)
        return process, f"{url}/", f"http://127.0.0.1:{figures}/ticks"
    text = SETTINGS.format(port=port, folder=folder) + options.set.replace(";", "\n")
    (Path(folder) / "lakh.toml").write_text(text)
    process = processes.start([options.lakh, "serve"], server_cores, port=port, cwd=folder)
    return process, f"{url}/socket.io/", f"{url}/metrics"


def get(url):
    with urllib.request.urlopen(url, timeout=10) as answer:
        return answer.read().decode()


def buckets(text):
    """Of Lakh's ticks: how many took no longer than so many milliseconds."""
    found = re.findall(r'lakh_world_tick_seconds_bucket\{[^}]*le="([^"]+)"[^}]*\} (\S+)', text)
    return [(float(upper.replace("+Inf", "inf")) * 1000, float(count)) for upper, count in found]


def forget_ticks(kind, url):
    """Those in which everybody came in say nothing of how it goes on. Gives what is to be taken off."""
    text = get(url + "?anew" if kind.script else url)
    return [] if kind.script else buckets(text)


def tick_p99_ms(kind, url, before):
    """Lakh's are in buckets: it's no longer than this."""
    text = get(url)
    if kind.script:
        return json.loads(text)["p99_ms"]
    off = dict(before)
    counted = [(upper, count - off.get(upper, 0)) for upper, count in buckets(text)]
    all_ticks = counted[-1][1] if counted else 0
    return next((upper for upper, count in counted if count >= 0.99 * all_ticks > 0), None)


def slowest(text):
    """How fast time passes in Lakh's slowest world."""
    return float(re.search(r"^lakh_world_dilation (\S+)", text, re.MULTILINE)[1])


def run_once(name, people, asked, options):
    """A fresh server, one run of the generator: its report."""
    kind, own_core = KINDS[name], cores()[1]
    with tempfile.TemporaryDirectory() as folder, Processes() as processes:
        server, url, ticks = start(processes, kind, folder, options)
        command = [RELEASE / "lakh-load", "--url", url, "--quiet", "--pid", server.pid, "--label", name]
        command += ["--connect-rate", CONNECTS_A_SECOND, "--in-flight", 50]
        command += ["world", "--server", kind.dialect, "-n", people, *shlex.split(asked), "-s", options.seconds]
        running = subprocess.Popen(
            pinned(own_core, [str(part) for part in command]),
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        processes.running.append(running)
        # By then all are in, and it does not count yet.
        time.sleep(people / CONNECTS_A_SECOND + 2)
        before = forget_ticks(kind, ticks)
        out, said = running.communicate(timeout=300)
        if running.returncode:
            said = said.strip().splitlines()
            raise Skip(said[0] if said else "the generator failed")
        report = json.loads(out.strip().splitlines()[-1])
        p99 = tick_p99_ms(kind, ticks, before)
        if p99 is not None:
            report["figures"]["tick_p99_ms"] = round(p99, 2)
        if not kind.script:
            report["figures"]["time_percent"] = round(100 * slowest(get(ticks)), 1)
    return report


def tried(name, people, asked, options):
    try:
        return run_once(name, people, asked, options)
    except (Skip, OSError, subprocess.TimeoutExpired) as why:
        say(f"  {why}")
        return {"server": name, "error": str(why)}


def scenes(options, names):
    """Scenes to servers to reports."""
    found = {name: {} for name in options.scenes}
    for repeat in range(options.repeats):
        for scene in options.scenes:
            # Forth, then back: whoever is always first would always have the cooler machine.
            for name in names if repeat % 2 == 0 else names[::-1]:
                say(f"{repeat + 1}/{options.repeats} {scene} {name}")
                report = tried(name, options.people, SCENES[scene].options, options)
                found[scene].setdefault(name, []).append(report)
    return found


def is_held(report):
    figures = report.get("figures", {})
    return (
        figures.get("tick_p99_ms", LIMIT_MS) < LIMIT_MS
        and figures["complete_percent"] >= HELD_PERCENT
        and not figures["closed_by_server"]
    )


def crowds(options, names):
    """Of each server, crowds twice as large each time, until one is not held; then once between."""
    found = {}
    for name in names:
        people, held, least = options.people, 0, None
        found[name] = []
        while people <= options.most:
            say(f"crowd of {people} {name}")
            report = tried(name, people, "--scene uniform", options)
            found[name].append(report)
            if is_held(report):
                held = people
            else:
                least = people
            if least is None:
                people *= 2
            elif held and people != (held + least) // 2 and least - held > held // 3:
                people = (held + least) // 2
            else:
                break
    return found


def hotspots(options, names):
    """Of each server, so many within one place."""
    found = {name: [] for name in names if name in HOTSPOT_SERVERS}
    for name, people in ((name, people) for name in found for people in options.hotspots):
        say(f"hotspot of {people} {name}")
        found[name].append(tried(name, people, "--scene hotspot", options))
    return found


def prepare(options):
    """Builds; why some can't run."""
    if not os.path.exists(RELEASE / "lakh-load"):
        sh("cargo build --release -p lakh-load".split())
    if "lakh" in options.servers and not os.path.exists(options.lakh):
        sh("cargo build --release -p lakh-server".split())
    skipped = {}
    for name in options.servers:
        try:
            if KINDS[name].build:
                KINDS[name].build()
        except Skip as why:
            skipped[name] = str(why)
    return skipped


def main():
    options = arguments()
    if options.docs_only:
        return redraw(options.docs_only, world_tables)
    raise_descriptors()
    skipped = prepare(options)
    names = [name for name in options.servers if name not in skipped]
    content = {
        "machine": about(options),
        "skipped": skipped,
        "seconds": options.seconds,
        "people": options.people,
        "note": options.note,
        "servers": {name: {"title": kind.title} for name, kind in KINDS.items()},
        "scenes": {name: {"title": SCENES[name].title} for name in options.scenes},
    }
    content["runs"] = scenes(options, names) if "scenes" in options.parts else {}
    content["crowds"] = crowds(options, names) if "crowd" in options.parts else {}
    content["hotspots"] = hotspots(options, names) if "hotspot" in options.parts else {}
    is_complete = options.parts == PARTS and options.scenes == list(SCENES) and options.servers == list(KINDS)
    hand_over(content, world_tables, "-world", options, is_complete)


if __name__ == "__main__":
    try:
        main()
    except Skip as why:
        sys.exit(f"world.py: {why}")
