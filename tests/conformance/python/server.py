"""Starts a real server as a child process on a free port, and stops it by its process id.

Programs are looked for as the Node tests do: in CARGO_TARGET_DIR (or target/) under TEST_PROFILE (or debug);
TEST_LAKH and TEST_KITCHEN_SINK name others.
"""

import os
import pathlib
import queue
import re
import subprocess
import threading

REPOSITORY = pathlib.Path(__file__).resolve().parents[3]
START_BOUND_S = 30
# python-engineio's clients may forget to say that they leave while a request over polling is under way, and then wait for the
# next ping (python-engineio 4.15, Client._write_loop): it is not to be far away.
PING_INTERVAL_MS = "1000"


def program(variable: str, fallback: str) -> str:
    built = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", REPOSITORY / "target"))
    path = os.environ.get(variable) or str(built / os.environ.get("TEST_PROFILE", "debug") / fallback)
    if not os.path.exists(path):
        raise FileNotFoundError(f"{path} is missing: build the workspace first (cargo build --workspace --examples)")
    return path


class Server:
    """A running server: `url`, and `stop()`. Use it in a `with` statement."""

    def __init__(self, path: str, args: list[str], env: dict[str, str]):
        self.log: list[str] = []
        self._child = subprocess.Popen(
            [path, *args],
            env={**os.environ, **env},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        lines: queue.Queue[str | None] = queue.Queue()
        self._reader = threading.Thread(target=self._read, args=(lines,), daemon=True)
        self._reader.start()
        self.url = self._await_url(lines)

    def _read(self, lines: "queue.Queue[str | None]") -> None:
        # Read on for as long as the server lives: a full pipe would stop it.
        for line in self._child.stdout:
            self.log.append(line)
            lines.put(line)
        lines.put(None)

    def _await_url(self, lines: "queue.Queue[str | None]") -> str:
        while True:
            try:
                line = lines.get(timeout=START_BOUND_S)
            except queue.Empty:
                line = None
            if line is None:
                self.stop()
                raise RuntimeError("the server did not listen:\n" + "".join(self.log))
            found = re.search(r"listening on (https?://[^\s\"\\]+)", line)
            if found:
                return found.group(1).rstrip("/")

    def stop(self) -> None:
        self._child.kill()
        self._child.wait()

    def __enter__(self) -> "Server":
        return self

    def __exit__(self, *_) -> None:
        self.stop()


def kitchen_sink() -> Server:
    """examples/kitchen_sink.rs: the library's features, each behind an event."""
    return Server(program("TEST_KITCHEN_SINK", "examples/kitchen_sink"), [], {"PORT": "0", "PING_INTERVAL_MS": PING_INTERVAL_MS})


def lakh(data: str, more: dict[str, str] | None = None) -> Server:
    """The binary `lakh serve` with all modules, and more settings."""
    # Tests send faster than people do.
    env = {
        "LAKH_ENGINE__PING_INTERVAL_MS": PING_INTERVAL_MS,
        "LAKH_ROOMS__EVENTS_PER_SECOND": "1000000",
        "LAKH_CHAT__MESSAGES_PER_SECOND": "1000000",
        "LAKH_ROOMS__OPTIONS": '[{ pattern = "live:*", history = "store", presence = true }]',
        **(more or {}),
    }
    running = Server(program("TEST_LAKH", "lakh"), ["serve", "--bind", "127.0.0.1:0", "--data", data], env)
    running.data = data
    return running
