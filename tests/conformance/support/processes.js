// Processes of the tests' own, on free ports, ended by their process ids. Nothing is imported here that must be installed,
// so every folder of tests can use it.
//
// Programs are looked for in the build directory (CARGO_TARGET_DIR, or target/ of the repository; TEST_PROFILE, or debug).

import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { createServer } from "node:net";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

export const repository = resolve(dirname(fileURLToPath(import.meta.url)), "../../..");
const built = join(process.env.CARGO_TARGET_DIR ?? join(repository, "target"), process.env.TEST_PROFILE ?? "debug");
const START_BOUND_MS = 30_000;

// What the variable of the environment names, or a program that was built.
export function program(variable, name, howToBuild) {
  const path = process.env[variable] ?? join(built, name);
  if (!existsSync(path)) throw new Error(`${path} is missing: build it first with \`${howToBuild}\``);
  return path;
}

export const lakh = () => program("TEST_LAKH", "lakh", "cargo build -p lakh-server");

// The system gives the ports from 32,768 on to whoever connects or listens, so one that it gave, and that is let go of for
// another process to take, may be somebody else's by then. Nobody is given these, nor those 10,000 above, which Redis
// Cluster wants, too. Test files run side by side, each in a process: they begin apart.
const PORTS = { first: 12_000, count: 10_000, apart: 61 };
let nextPort = process.pid * PORTS.apart;

export async function freePort() {
  for (;;) {
    const port = PORTS.first + (nextPort++ % PORTS.count);
    if (await isFree(port)) return port;
  }
}

async function isFree(port) {
  const probe = createServer().listen(port, "127.0.0.1");
  const bound = await new Promise((done) => {
    probe.once("listening", () => done(true));
    probe.once("error", () => done(false));
  });
  if (!bound) return false;
  probe.close();
  await once(probe, "close");
  return true;
}

// Resolves once `found` has matched in what the child writes, to {path, pid, found, log(), signal(), stop(), exited};
// `log()` is all that it has written so far. `last` is the signal that ends it where none is named: a process
// with children that would outlive it must not be cut off.
export function start(path, args, found, { env, last = "SIGKILL", ...options } = {}) {
  const child = spawn(path, args.map(String), {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, ...env },
    ...options,
  });
  let log = "";
  const exited = new Promise((done) => child.once("exit", (code, signal) => done({ code, signal })));
  // A test run that dies must not leave processes behind.
  const killAtExit = () => child.kill(last);
  process.once("exit", killAtExit);
  let isThere = false;
  let isWanted = false;
  exited.then(({ code, signal }) => {
    if (isThere && !isWanted) console.error(`${path} ${args} ended by itself (${code}, ${signal}):\n${log}`);
  });
  // A signal, then the exit code. SIGTERM drains a server, so a caller that is in a hurry says SIGKILL.
  const stop = (signal = last) => {
    isWanted = true;
    child.kill(signal);
    // A process that was stopped would wait for ever.
    if (signal !== "SIGSTOP") child.kill("SIGCONT");
    process.off("exit", killAtExit);
    return exited;
  };
  return new Promise((done, fail) => {
    const bound = setTimeout(() => {
      child.kill(last);
      fail(new Error(`${path} was not there within ${START_BOUND_MS} ms:\n${log}`));
    }, START_BOUND_MS);
    const read = (chunk) => {
      log += chunk;
      const match = found.exec(log);
      if (!match) return;
      isThere = true;
      clearTimeout(bound);
      const signal = (name) => child.kill(name);
      done({ path, pid: child.pid, found: match, exited, stop, log: () => log, signal });
    };
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding("utf8").on("data", read);
    child.once("error", fail);
    exited.then(({ code, signal }) => {
      clearTimeout(bound);
      fail(new Error(`${path} ended before it was there (${code}, ${signal}):\n${log}`));
    });
  });
}
