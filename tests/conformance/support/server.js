// Starts a real server as a child process on a free port, and stops it by its process id.
//
// Programs are looked for in the build directory (CARGO_TARGET_DIR, or target/ of the repository; TEST_PROFILE,
// or debug). TEST_LAKH and TEST_KITCHEN_SINK name others: that is how these tests were first proven, against
// Node's own server.

import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const repository = resolve(dirname(fileURLToPath(import.meta.url)), "../../..");
const built = join(
  process.env.CARGO_TARGET_DIR ?? join(repository, "target"),
  process.env.TEST_PROFILE ?? "debug",
);
const START_BOUND_MS = 30_000;

function program(variable, fallback, howToBuild) {
  const path = process.env[variable] ?? join(built, fallback);
  if (!existsSync(path)) {
    throw new Error(`${path} is missing: build it first with \`${howToBuild}\``);
  }
  return path;
}

// Resolves to {url, pid, log(), stop()}. `log()` is all that the server has written so far.
function start(path, args, env) {
  const child = spawn(path, args, {
    env: { ...process.env, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let log = "";
  const exited = new Promise((done) => child.once("exit", (code, signal) => done({ code, signal })));
  // A test run that dies must not leave servers behind.
  const killAtExit = () => child.kill("SIGKILL");
  process.once("exit", killAtExit);

  const server = {
    path,
    pid: child.pid,
    log: () => log,
    exited,
    // A signal, then the exit code. SIGTERM drains, so a caller that is in a hurry says SIGKILL.
    async stop(signal = "SIGKILL") {
      child.kill(signal);
      process.off("exit", killAtExit);
      return exited;
    },
  };

  return new Promise((done, fail) => {
    const bound = setTimeout(() => {
      child.kill("SIGKILL");
      fail(new Error(`${path} did not listen within ${START_BOUND_MS} ms:\n${log}`));
    }, START_BOUND_MS);
    const read = (chunk) => {
      log += chunk;
      const found = /listening on (https?:\/\/[^\s"\\]+)/.exec(log);
      if (found && !server.url) {
        server.url = found[1].replace(/\/$/, "");
        clearTimeout(bound);
        done(server);
      }
    };
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding("utf8").on("data", read);
    child.once("error", fail);
    exited.then(({ code, signal }) => {
      clearTimeout(bound);
      fail(new Error(`${path} ended before it listened (code ${code}, signal ${signal}):\n${log}`));
    });
  });
}

// Tests send faster than people do, and end a server without a window to drain.
const SETTINGS = {
  LAKH_ROOMS__EVENTS_PER_SECOND: "1000000",
  LAKH_CHAT__MESSAGES_PER_SECOND: "1000000",
  LAKH_DRAIN__WINDOW_MS: "200",
};

// The binary `lakh serve`, with a data folder of its own. `data` keeps a folder over a restart.
export async function startLakh({ modules = [], bind = "127.0.0.1:0", env = {}, data } = {}) {
  const path = program("TEST_LAKH", "lakh", "cargo build -p lakh-server");
  const folder = data ?? mkdtempSync(join(tmpdir(), "lakh-test-"));
  const server = await start(
    path,
    ["serve", ...modules, "--bind", bind, "--data", folder],
    { ...SETTINGS, ...env },
  );
  const stop = server.stop;
  server.stop = async (signal) => {
    const end = await stop(signal);
    if (!data) rmSync(folder, { recursive: true, force: true });
    return end;
  };
  return server;
}

// examples/kitchen_sink.rs: the library's features, each behind an event.
export function startKitchenSink(env = {}) {
  const path = program(
    "TEST_KITCHEN_SINK",
    "examples/kitchen_sink",
    "cargo build --example kitchen_sink",
  );
  return start(path, [], { PORT: "0", ...env });
}
