// Starts a real server as a child process on a free port, and stops it by its process id.
//
// TEST_LAKH and TEST_KITCHEN_SINK name other programs than those that were built: that is how these tests were first
// proven, against Node's own server.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as processes from "./processes.js";

async function start(path, args, env) {
  const server = await processes.start(path, args, /listening on (https?:\/\/[^\s"\\]+)/, { env });
  return { ...server, url: server.found[1].replace(/\/$/, "") };
}

// Tests send faster than people do, and end a server without a window to drain.
const SETTINGS = {
  LAKH_ROOMS__EVENTS_PER_SECOND: "1000000",
  LAKH_CHAT__MESSAGES_PER_SECOND: "1000000",
  LAKH_DRAIN__WINDOW_MS: "200",
};

// The binary `lakh serve`, with a data folder of its own. `data` keeps a folder over a restart.
export async function startLakh({ modules = [], bind = "127.0.0.1:0", env = {}, data } = {}) {
  const folder = data ?? mkdtempSync(join(tmpdir(), "lakh-test-"));
  const server = await start(
    processes.lakh(),
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
  const path = processes.program(
    "TEST_KITCHEN_SINK",
    "examples/kitchen_sink",
    "cargo build --example kitchen_sink",
  );
  return start(path, [], { PORT: "0", ...env });
}
