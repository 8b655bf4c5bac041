"""The servers that are measured: how each is built and started."""

import os
import shutil
import subprocess
from pathlib import Path

BENCH = Path(__file__).resolve().parent
ROOT = BENCH.parent
PEERS = BENCH / "peers"
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")).resolve()
RELEASE = TARGET / "release"
OXIDE = TARGET / "peers" / "release" / "lakh-bench-socketioxide"


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
    # npm writes this file when it is done; one older than the lock has other packages.
    done, lock = PEERS / name / "node_modules/.package-lock.json", PEERS / name / "package-lock.json"
    if not done.exists() or done.stat().st_mtime < lock.stat().st_mtime:
        # What the lock says; but `npm ci` refuses one that lacks an optional package for another system.
        sh("npm install --no-save --no-audit --no-fund --loglevel=error".split(), PEERS / name)


def build_node():
    build_npm("node")


def build_bun():
    build_npm("node")
    build_npm("bun")
    sh([str(PEERS / "bun/node_modules/.bin/bun"), "--version"])


class Server:
    """`cores` is how many threads it has that work."""

    def __init__(self, command, build=None, env=None, cores=1):
        self.command = [str(part) for part in command]
        self.build = build
        self.env = env or {}
        self.cores = cores


NODE = ["node", PEERS / "node/server.js"]
SERVERS = {
    "floor": Server([RELEASE / "lakh-floor", "send"]),
    "floor-joined": Server([RELEASE / "lakh-floor", "joined"]),
    "floor-uring": Server([RELEASE / "lakh-floor", "uring"]),
    "lakh": Server([RELEASE / "lakh-bench-server"]),
    "lakh-without-recovery": Server([RELEASE / "lakh-bench-server", "--no-recovery"]),
    "lakh-2-loops": Server([RELEASE / "lakh-bench-server", "--loops", "2"], cores=2),
    "socketioxide": Server([OXIDE], build_oxide),
    "socketioxide-2-threads": Server([OXIDE], build_oxide, {"THREADS": "2"}, cores=2),
    "node": Server(NODE, build_node),
    "node-recovery": Server(NODE, build_node, {"RECOVERY": "1"}),
    "bun": Server([PEERS / "bun/node_modules/.bin/bun", PEERS / "bun/server.js"], build_bun),
}
# uWebSockets.js is not in the npm registry, only on its makers' own server.
ABSENT = {"uwebsockets": "not in the npm registry"}
DEFAULT = ["floor", "floor-joined", "floor-uring", "lakh", "socketioxide", "node", "bun"]


def prepare(names, say):
    """Builds; gives back who can run, and why the others can't."""
    skipped = dict(ABSENT)
    build_own()
    ready = []
    built = set()
    for name in names:
        server = SERVERS[name]
        try:
            if server.build and server.build not in built:
                say(f"building {name}")
                server.build()
                built.add(server.build)
            ready.append(name)
        except Skip as why:
            skipped[name] = str(why)
        except FileNotFoundError as why:
            skipped[name] = f"{why.filename} is not installed"
    return ready, skipped
