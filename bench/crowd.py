"""A crowd: more clients than one process can hold, on several nodes, and a broadcast that reaches all of them.

Each node has a generator of its own, since a generator may hold no more descriptors than a node. They go in step:
all connect and join one room at once, say so, and wait; then the first publishes. Generators, nodes and Redis share the
machine's cores, so all times are those of the whole machine, clients' work included.
"""

import json
import statistics
import subprocess
import tempfile
import time

from nodes import OWN, Fleet, Processes, Redis, Words, available_kb, cpu_us, resident_kb, start_nodes
from servers import RELEASE, Skip

# What a connection takes on both of its ends, kernel and generator included, with plenty to spare.
KB_A_CONNECTION = 60
KB_BESIDES = 1_000_000


def check_memory(connections):
    needed, free = connections * KB_A_CONNECTION + KB_BESIDES, available_kb()
    if free < needed:
        raise Skip(f"{needed / 2**20:.1f} GiB of memory are needed and {free / 2**20:.1f} free")


def generators(processes, urls, pids, options):
    """One for each node. The first is who publishes."""
    started = []
    for number, (url, pid) in enumerate(zip(urls, pids, strict=True)):
        each = options.connections // len(urls) + (number < options.connections % len(urls))
        command = [RELEASE / "lakh-load", "--url", url, "--pid", pid, "--dialect", "bench", "--quiet"]
        command += ["--patience", 60, "--connect-rate", 0, "--in-flight", 100]
        # Addresses of its own, so that ports are found at once.
        command += ["--first-source", f"127.0.{10 + number}.1"]
        command += ["reach", "--in-step", "-n", each, "-b", 64, "-k", options.broadcasts, "--every", 3]
        command += ["--listen"] if number else []
        pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        started.append(processes.start(command, **pipes))
    return started


def measure(options, say):
    """The whole: figures, and for each broadcast how long it took."""
    check_memory(options.connections)
    with Processes() as processes, tempfile.TemporaryDirectory() as folder:
        redis = Redis(processes, folder)
        fleet = Fleet("crowd", OWN, options.nodes, options.adapter)
        nodes, urls = start_nodes(processes, fleet, redis)
        pids = [node.pid for node in nodes]
        empty = {"free": available_kb(), "resident": resident_kb(pids), "cpu": cpu_us(pids)}

        say(f"connecting {options.connections:,} to {options.nodes} nodes")
        began = time.monotonic()
        crowd = generators(processes, urls, pids, options)
        own = [generator.pid for generator in crowd]
        words = Words(crowd)
        words.wait_for("ready", 240)
        seconds = time.monotonic() - began
        connected = {"free": available_kb(), "resident": resident_kb(pids), "cpu": cpu_us(pids)}
        figures = connecting(options.connections, seconds, empty, connected)
        figures["generators_resident_mb"] = resident_kb(own) / 1024

        say(f"all are there after {seconds:.1f} s; broadcasting")
        before = cpu_us([redis.pid])
        for generator in crowd:
            generator.stdin.write(b"go\n")
            generator.stdin.flush()
        words.wait_for("done", 120)
        delivered = options.connections * options.broadcasts
        figures["cpu_us_per_delivery"] = (cpu_us(pids) - connected["cpu"]) / delivered
        figures["broker_cpu_us_per_broadcast"] = (cpu_us([redis.pid]) - before) / options.broadcasts
        figures["resident_mb_after"] = resident_kb(pids) / 1024
        reports = []
        for generator in crowd:
            generator.stdin.close()
            reports.append(json.loads(generator.stdout.read().splitlines()[-1]))
        return together(figures, reports)


def connecting(connections, seconds, empty, connected):
    """What it took until all were connected and in the room."""
    resident = connected["resident"] - empty["resident"]
    return {
        "connect_and_join_s": seconds,
        "connects_per_s": connections / seconds,
        "cpu_us_per_connect_and_join": (connected["cpu"] - empty["cpu"]) / connections,
        "resident_mb": connected["resident"] / 1024,
        "resident_kb_per_connection": resident / connections,
        # Kernel and generators included.
        "machine_mb": (empty["free"] - connected["free"]) / 1024,
    }


def together(figures, reports):
    """The generators' reports as one."""
    for name in ("delivered", "lost", "out_of_order", "stray", "closed_by_server"):
        figures[name] = sum(report["figures"][name] for report in reports)
    # They begin together, so the slowest one's is that of all.
    figures["connect_s"] = max(report["figures"]["connect_s"] for report in reports)
    broadcasts = []
    for samples in zip(*(report["samples"] for report in reports), strict=True):
        tenths = [sample[f"p{tenth}0_ms"] for sample in samples for tenth in range(1, 10)]
        broadcasts.append(
            {
                "received": sum(sample["received"] for sample in samples),
                "first_ms": min(sample["first_ms"] for sample in samples),
                # Of all generators' tenths, which are about as many receivers each.
                "median_ms": statistics.median(tenths),
                "last_ms": max(sample["last_ms"] for sample in samples),
            }
        )
    for name in ("first_ms", "median_ms", "last_ms"):
        figures[name] = statistics.median(broadcast[name] for broadcast in broadcasts)
    notes = sorted({note for report in reports for note in report["notes"]})
    figures = {name: round(value, 3) for name, value in figures.items()}
    return {"figures": figures, "broadcasts": broadcasts, "notes": notes, "reports": reports}
