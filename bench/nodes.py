"""Nodes of a fleet, the Redis between them, and what the kernel says that they have cost."""

import os
import select
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

from run import free_port, pinned, wait_for_port
from servers import NODE, RELEASE, Skip

OWN = [str(RELEASE / "lakh-bench-server")]
PEER = [str(part) for part in NODE]


class Fleet:
    """How the nodes of one kind are started. `adapter` is how they reach each other; None: there is one."""

    def __init__(self, title, command, nodes=1, adapter=None):
        self.title = title
        self.command = command
        self.nodes = nodes
        self.adapter = adapter


FLEETS = {
    "lakh-1": Fleet("Lakh, 1 node", OWN),
    "lakh-2-classic": Fleet("Lakh, 2 nodes, classic", OWN, 2, "classic"),
    "lakh-2-sharded": Fleet("Lakh, 2 nodes, sharded", OWN, 2, "sharded"),
    "lakh-2-streams": Fleet("Lakh, 2 nodes, streams", OWN, 2, "streams"),
    "node-1": Fleet("Node, 1 process", PEER),
    "node-2-classic": Fleet("Node, 2 processes, classic", PEER, 2, "classic"),
    "node-2-sharded": Fleet("Node, 2 processes, sharded", PEER, 2, "sharded"),
    "node-2-streams": Fleet("Node, 2 processes, streams", PEER, 2, "streams"),
}


class Processes:
    """What was started, and is ended by its id when the block is left, however that comes."""

    def __init__(self):
        self.running = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in reversed(self.running):
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)
            process.wait()

    def start(self, command, cores=None, env=None, port=None, **more):
        """Starts one; with a port, waits until it listens there."""
        # A file, not a pipe: a server that says much must not wait for somebody to read it.
        with tempfile.TemporaryFile() as said:
            more.setdefault("stderr", said)
            more.setdefault("stdout", subprocess.DEVNULL)
            process = subprocess.Popen(
                pinned(cores, [str(part) for part in command]),
                env={**os.environ, **(env or {})},
                **more,
            )
            self.running.append(process)
            if port:
                try:
                    wait_for_port(process, port, said)
                except Skip as why:
                    raise Skip(f"{Path(command[0]).name}: {why}") from why
        return process


class Redis:
    """A Redis of our own: in memory only, or with a log that is synced `everysec` or `always`."""

    def __init__(self, processes, folder, cores=None, synced=None):
        if not shutil.which("redis-server"):
            raise Skip("redis-server is not installed")
        self.port = free_port()
        # What a user's configuration may have that writes to disk is off: a broker is measured without the disk.
        options = f"--port {self.port} --bind 127.0.0.1 --dir {folder} --daemonize no"
        options += f" --appendonly yes --appendfsync {synced}" if synced else " --appendonly no"
        command = ["redis-server", *options.split(), "--save", ""]
        process = processes.start(command, cores, port=self.port)
        self.pid = process.pid
        self.url = f"redis://127.0.0.1:{self.port}"

    def flush(self):
        """Forgets everything, so that no run finds what another left."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=5) as line:
            line.sendall(b"FLUSHALL\r\n")
            if not line.recv(64).startswith(b"+OK"):
                raise Skip("Redis did not forget")


def start_nodes(processes, fleet, redis, cores=None):
    """Starts all nodes: their processes and URLs."""
    started, urls = [], []
    for number in range(fleet.nodes):
        port = free_port()
        env = {"LISTEN": f"127.0.0.1:{port}", "NODE": f"{chr(ord('a') + number)}01"}
        if fleet.adapter:
            env |= {"REDIS": redis.url, "ADAPTER": fleet.adapter}
        started.append(processes.start(fleet.command, cores, env, port))
        urls.append(f"http://127.0.0.1:{port}/socket.io/")
    return started, urls


def cpu_us(pids):
    """Processor time of all threads of these processes."""
    total = 0
    for pid in pids:
        for task in Path(f"/proc/{pid}/task").iterdir():
            try:
                total += int((task / "schedstat").read_text().split()[0])
            except FileNotFoundError:
                # A thread that has ended meanwhile.
                continue
    return total / 1000


def resident_kb(pids):
    total = 0
    for pid in pids:
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
        line = next(line for line in rollup.splitlines() if line.startswith("Rss:"))
        total += int(line.split()[1])
    return total


def available_kb():
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1])
    return 0


class Words:
    """What generators say on standard error, a line each."""

    def __init__(self, processes):
        self.processes = processes
        self.rest = {process: b"" for process in processes}

    def wait_for(self, word, seconds):
        """Until each has said it. Raises Skip with what one said instead."""
        missing = set(self.processes)
        deadline = time.monotonic() + seconds
        while missing:
            left = deadline - time.monotonic()
            if left <= 0:
                raise Skip(f"{len(missing)} generators were not {word} within {seconds:.0f} s")
            by_file = {process.stderr: process for process in missing}
            for file in select.select(list(by_file), [], [], left)[0]:
                process = by_file[file]
                part = os.read(file.fileno(), 65536)
                lines = (self.rest[process] + part).split(b"\n")
                self.rest[process] = lines.pop()
                if word.encode() in lines:
                    missing.discard(process)
                elif lines or not part:
                    said = b" ".join(lines).decode(errors="replace").strip()
                    raise Skip(said or "a generator ended")
