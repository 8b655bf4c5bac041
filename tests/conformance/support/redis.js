// A redis-server of a test's own, on a socket in a folder of its own.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

// Resolves to {url, stop()}.
export async function startRedis() {
  const folder = mkdtempSync(join(tmpdir(), "lakh-redis-"));
  const path = join(folder, "redis.sock");
  const args = ["--port", "0", "--unixsocket", path, "--dir", folder, "--save", "", "--appendonly", "yes"];
  const child = spawn("redis-server", args, { stdio: ["ignore", "pipe", "inherit"] });
  const killAtExit = () => child.kill("SIGKILL");
  process.once("exit", killAtExit);
  let log = "";
  await new Promise((done, fail) => {
    child.once("error", fail);
    child.once("exit", () => fail(new Error(`redis-server ended:\n${log}`)));
    child.stdout.on("data", (chunk) => (log += chunk).includes("eady to accept connections") && done());
  });
  return {
    url: `redis+unix://${path}`,
    async stop() {
      process.off("exit", killAtExit);
      child.kill("SIGKILL");
      if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
