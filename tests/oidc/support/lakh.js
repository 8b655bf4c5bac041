// A Lakh server in production, with a console.

import { spawnSync } from "node:child_process";
import { freePort, lakh } from "../../conformance/support/processes.js";
import { startLakh as start } from "../../conformance/support/server.js";

export const PASSWORD = "correct horse battery";

let hash;

// As a person makes it.
export function localAdmin() {
  if (!hash) {
    const made = spawnSync(lakh(), ["password"], { input: `${PASSWORD}\n`, encoding: "utf8" });
    if (made.status !== 0) throw new Error(`lakh password: ${made.stderr}`);
    hash = made.stdout.trim();
  }
  return { LAKH_CONSOLE__ADMIN_USER: "root", LAKH_CONSOLE__ADMIN_PASSWORD_HASH: hash };
}

// An address that will be free, for the provider to know before the server is there.
export async function address(scheme = "http", host = "127.0.0.1") {
  return `${scheme}://${host}:${await freePort()}`;
}

export async function startLakh(t, url, env) {
  const { port } = new URL(url);
  const server = await start({
    bind: `127.0.0.1:${port}`,
    env: {
      LAKH_AUTH_SECRET: "0123456789abcdef0123456789abcdef",
      LAKH_LOG: "warn,lakh_server=info",
      LAKH_CONSOLE__PUBLIC_URL: url,
      ...env,
    },
  });
  t.after(() => server.stop());
  return server;
}
