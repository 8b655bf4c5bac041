#!/usr/bin/env python3
"""What a setting costs fan-out: `lakh serve` with and without it, in turn, the same load on each.

    bench/beside.py rules    # an [auth] rules section that allows all, against none
    bench/beside.py hook     # a hook that wants every message and whose endpoint never answers, against none
    bench/beside.py --pairs 5 --members 100 --rate 20000 --seconds 5 rules

Needs release builds of `lakh` and `lakh-load`, and `perf` for the instructions. One line of JSON a run on standard
output, the medians and their ratio on standard error.
"""

import argparse
import json
import os
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BASE = """
[server]
loops = 1

[rooms]
events_per_second = 1000000
"""
RULES = """
[auth]
rules = [
  { who = "role:editor", allow = "rooms:join,emit:board:*" },
  { who = "anyone", allow = "*:*:*" },
]
"""
HOOK = """
[[hooks.endpoints]]
name = "hangs"
url = "http://127.0.0.1:%d/"
secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
events = ["message"]
"""


def hanging_endpoint():
    """Takes connections and what they bring, and never answers."""
    listener = socket.create_server(("127.0.0.1", 0))
    kept = []

    def read(connection):
        while connection.recv(1 << 16):
            pass

    def accept():
        while True:
            connection, _ = listener.accept()
            kept.append(connection)
            threading.Thread(target=read, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    return listener.getsockname()[1]


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def wait_for(port):
    end = time.monotonic() + 20
    while time.monotonic() < end:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.02)
    raise SystemExit("the server does not listen")


def cpu_seconds(pid):
    """User and kernel time of all threads, from the scheduler."""
    total = 0
    for thread in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{thread}/schedstat") as stat:
            total += int(stat.read().split()[0])
    return total / 1e9


def run(args, settings):
    with tempfile.TemporaryDirectory() as folder:
        with open(f"{folder}/lakh.toml", "w") as file:
            file.write(settings)
        port = free_port()
        serve = [args.lakh, "serve", "--bind", f"127.0.0.1:{port}"]
        server = subprocess.Popen(serve, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            wait_for(port)
            counts = f"{folder}/perf"
            perf = ["perf", "stat", "-x", ",", "-e", "instructions:u,instructions:k", "-o", counts, "-p", str(server.pid)]
            counting = subprocess.Popen(perf)
            time.sleep(0.5)
            before = cpu_seconds(server.pid)
            load = [args.load, "--quiet", "--dialect", "rooms", "--pid", str(server.pid)]
            load += ["--url", f"http://127.0.0.1:{port}/socket.io/", "--auth", '{"name":"load"}', "fanout"]
            load += ["--members", str(args.members), "--connections", str(args.members)]
            load += ["--rate", str(args.rate), "--seconds", str(args.seconds)]
            told = json.loads(subprocess.run(load, check=True, stdout=subprocess.PIPE).stdout)
            cpu = cpu_seconds(server.pid) - before
            counting.send_signal(2)
            counting.wait()
            with open(counts) as file:
                lines = re.findall(r"^(\d+),[^,]*,(instructions:[uk])", file.read(), re.M)
            found = {name: int(count) for count, name in lines}
        finally:
            server.terminate()
            server.wait()
    figures = told["figures"]
    figures.update(cpu_seconds_of_all=cpu, **found)
    return figures


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["rules", "hook"])
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--members", type=int, default=100)
    parser.add_argument("--rate", type=int, default=20000)
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--lakh", default=f"{ROOT}/target/release/lakh")
    parser.add_argument("--load", default=f"{ROOT}/target/release/lakh-load")
    args = parser.parse_args()
    with_it = BASE + (RULES if args.what == "rules" else HOOK % hanging_endpoint())
    runs = {"without": [], "with": []}
    for pair in range(args.pairs):
        order = [("without", BASE), ("with", with_it)]
        for name, settings in order if pair % 2 == 0 else order[::-1]:
            figures = run(args, settings)
            runs[name].append(figures)
            print(json.dumps({"which": name, "figures": figures}), flush=True)
    numbers = [key for key, value in runs["with"][0].items() if isinstance(value, (int, float))]
    for key in numbers:
        try:
            a, b = (statistics.median(run[key] for run in runs[name]) for name in ("without", "with"))
        except (KeyError, TypeError):
            continue
        ratio = f"{b / a:.3f}" if a else "-"
        print(f"{key:45} {a:18,.3f} {b:18,.3f} {ratio:>8}", file=sys.stderr)


main()
