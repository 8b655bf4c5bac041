// A redis-server of the test's own, on a free port, ended by its process id.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort, start } from "../../conformance/support/processes.js";

export async function startRedis(t) {
  const folder = mkdtempSync(join(tmpdir(), "lakh-redis-"));
  const port = await freePort();
  const args = ["--bind", "127.0.0.1", "--port", port, "--dir", folder, "--save", "", "--appendonly", "no"];
  const redis = await start("redis-server", args, /eady to accept connections/);
  t.after(async () => {
    await redis.stop();
    rmSync(folder, { recursive: true, force: true });
  });
  return { ...redis, port, url: `redis://127.0.0.1:${port}` };
}
