#!/usr/bin/env python3
"""Runs every scenario of the load generator against Lakh, the floor and the peers, and compares.

Runs are interleaved: each repeat goes through all scenarios, and within a scenario through all servers, so that a
machine that gets slower for a while is slow for everybody. What is shown is the median of the repeats, and its ratio
to the floor of the same scenario. Each run has a server of its own, fresh. With two cores and more the server has the first
(as many as it has loops) and the generator another.

A complete run is stored in bench/results/, and docs/performance.md and its charts are drawn from it.
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
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import charts
import tables
from scenarios import SCENARIOS, derive
from servers import BENCH, DEFAULT, PEERS, RELEASE, ROOT, SERVERS, Skip, prepare

DOCS = ROOT / "docs"


def say(words):
    print(words, file=sys.stderr)


def cores_for(server, scenario):
    """The server's cores and the generator's, for taskset; None where there is only one core.

    The generator has a core of its own, unless the scenario is about as many threads as there are cores.
    """
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        return None, None
    most = len(cores) if scenario.wide else len(cores) - 1
    own = cores[: min(server.cores, most)]
    return ",".join(map(str, own)), str(cores[-1])


def pinned(cores, command):
    return ["taskset", "-c", cores, *command] if cores and shutil.which("taskset") else command


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def tail(file):
    """The last line of what a process has said."""
    file.seek(0)
    said = file.read().decode(errors="replace").strip().splitlines()
    return said[-1] if said else None


def wait_for_port(process, port, said):
    deadline = time.monotonic() + 15
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise Skip(tail(said) or f"ended with {process.returncode}")
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise Skip("did not listen within 15 s")


def run_once(name, scenario, numbers):
    """One fresh server, one run of the generator: its report."""
    server = SERVERS[name]
    server_cores, own_cores = cores_for(server, scenario)
    port = free_port()
    env = {**os.environ, **server.env, **scenario.env, "LISTEN": f"127.0.0.1:{port}"}
    # A file, not a pipe: a server that says much must not wait for somebody to read it.
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(
            pinned(server_cores, server.command), env=env, stdout=subprocess.DEVNULL, stderr=said
        )
        try:
            wait_for_port(process, port, said)
            return derive(generate(name, process, port, own_cores, scenario, numbers), server.cores)
        except subprocess.TimeoutExpired as why:
            return {"server": name, "error": f"not done within {why.timeout:.0f} s"}
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()


def generate(name, process, port, cores, scenario, numbers):
    options = [part.format(**numbers) for part in scenario.options]
    command = [RELEASE / "lakh-load", "--url", f"http://127.0.0.1:{port}/socket.io/", "--quiet"]
    command += ["--dialect", "bench", "--pid", process.pid, "--label", name, *options]
    done = subprocess.run(
        pinned(cores, [str(part) for part in command]),
        text=True,
        capture_output=True,
        timeout=300 + numbers["churn"],
    )
    if done.returncode:
        said = done.stderr.strip().splitlines()
        return {"server": name, "error": said[0] if said else "the generator failed"}
    return json.loads(done.stdout.strip().splitlines()[-1])


def versions():
    """What the peers are."""
    found = {}
    for name, packages in (("node", ["socket.io"]), ("bun", ["bun", "@socket.io/bun-engine"])):
        wanted = json.loads((PEERS / name / "package.json").read_text())["dependencies"]
        found.update({package: wanted[package] for package in packages})
    for line in (PEERS / "socketioxide/Cargo.lock").read_text().split("\n\n"):
        if 'name = "socketioxide"\n' in line:
            found["socketioxide"] = line.split('version = "')[1].split('"')[0]
    if shutil.which("node"):
        node = subprocess.run(["node", "--version"], text=True, capture_output=True)
        found["Node"] = node.stdout.strip().removeprefix("v")
    return found


def machine(repeats):
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
        "versions": versions(),
        "repeats": repeats,
        "at": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
    }


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--servers", default=",".join(DEFAULT), help=", ".join(SERVERS))
    parser.add_argument("--scenarios", default=",".join(SCENARIOS), help=", ".join(SCENARIOS))
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=5, help="of each measurement")
    parser.add_argument("--churn", type=float, default=600, help="seconds of the scenario churn")
    parser.add_argument(
        "--quick", action="store_true", help="one repeat, two seconds each; stores and draws nothing"
    )
    parser.add_argument("--no-store", action="store_true", help="store no JSON, draw nothing")
    parser.add_argument("--docs", action="store_true", help="draw, even if it was no complete run")
    parser.add_argument(
        "--docs-only", metavar="FILE.json", help="draw from a stored result, measure nothing"
    )
    chosen = parser.parse_args()
    if chosen.quick:
        chosen.repeats, chosen.seconds, chosen.churn, chosen.no_store = 1, 2, 20, True
    chosen.servers, chosen.scenarios = chosen.servers.split(","), chosen.scenarios.split(",")
    check_known(parser, chosen.servers, SERVERS)
    check_known(parser, chosen.scenarios, SCENARIOS)
    return chosen


def check_known(parser, values, known):
    for value in values:
        if value not in known:
            parser.error(f"{value} is none of {', '.join(known)}")


def raise_descriptors():
    """Everything started from here may have as many descriptors as the system allows."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def servers_of(scenario, asked):
    """Who is measured: those asked for, or of the scenario's own those that are one of them, with more threads or not."""
    names = asked
    if scenario.servers:
        families = {name.split("-")[0] for name in asked}
        names = [name for name in scenario.servers if name.split("-")[0] in families]
    return [name for name in names if name not in scenario.without]


def measure(chosen, ready, numbers):
    """All runs, interleaved: scenario to server to reports."""
    found = {name: {} for name in chosen.scenarios}
    for repeat in range(chosen.repeats):
        for name in chosen.scenarios:
            scenario = SCENARIOS[name]
            if repeat and scenario.once:
                continue
            for server in servers_of(scenario, chosen.servers):
                if server not in ready:
                    continue
                say(f"{repeat + 1}/{chosen.repeats} {name} {server}")
                try:
                    report = run_once(server, scenario, numbers)
                except Skip as why:
                    report = {"server": server, "error": str(why)}
                found[name].setdefault(server, []).append(report)
    return found


def store(content, text, kind=""):
    """Keeps a result, and its tables, under a name that tells when and of what it is."""
    folder = BENCH / "results"
    folder.mkdir(exist_ok=True)
    about = content["machine"]
    stem = f"{about['at'][:10]}-{about['commit']}{kind}"
    (folder / f"{stem}.json").write_text(json.dumps(content, indent=1) + "\n")
    (folder / f"{stem}.md").write_text(text)
    say(f"stored in {folder / stem}.json and .md")


def store_arguments(parser):
    """What happens to the result of a bench with tables of its own."""
    parser.add_argument("--no-store", action="store_true", help="store nothing, write nothing")
    parser.add_argument(
        "--docs-only", metavar="FILE.json", help="write the tables of a stored result, measure nothing"
    )


def redraw(file, tables_of):
    """Writes the tables of a stored result; `tables_of` is the module that draws them."""
    tables_of.put_into(DOCS / "performance.md", tables_of.page(json.loads(Path(file).read_text())))


def hand_over(content, tables_of, kind, chosen, is_complete):
    """Shows a result, stores it, and writes its tables if nothing was left out."""
    text = tables_of.page(content)
    print(text)
    if chosen.no_store:
        return
    store(content, text, kind)
    if is_complete:
        tables_of.put_into(DOCS / "performance.md", text)
        say("wrote docs/performance.md")


def document(result):
    made = charts.write_all(result, DOCS / "images")
    tables.put_into(DOCS / "performance.md", tables.page(result, made))
    say(f"drew {', '.join(file for file, _ in made)} and wrote docs/performance.md")


def main():
    chosen = arguments()
    if chosen.docs_only:
        document(tables.Result(json.loads(Path(chosen.docs_only).read_text())))
        return
    descriptors = raise_descriptors()
    numbers = {"n": min(10_000, descriptors - 500), "s": chosen.seconds, "churn": chosen.churn}
    about = machine(chosen.repeats)
    wanted = list(chosen.servers)
    for name in chosen.scenarios:
        wanted += [s for s in servers_of(SCENARIOS[name], chosen.servers) if s not in wanted]
    ready, skipped = prepare(wanted, say)
    content = {
        "machine": about,
        "servers": [name for name in chosen.servers if name in ready],
        "skipped": skipped,
        "scenarios": {name: SCENARIOS[name].described() for name in chosen.scenarios},
        "results": measure(chosen, ready, numbers),
    }
    result = tables.Result(content)
    text = tables.heading(result) + "\n" + tables.summary(result)
    text += "".join(f"\n{tables.details(result, name)}" for name in result.scenarios)
    text += "".join(f"\nSkipped {name}: {why}." for name, why in skipped.items())
    print(text)
    complete = set(chosen.scenarios) == set(SCENARIOS) and set(DEFAULT) <= set(chosen.servers)
    if not chosen.no_store:
        store(content, text)
    if chosen.docs or (complete and not chosen.no_store):
        document(result)


if __name__ == "__main__":
    main()
