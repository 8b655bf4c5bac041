// The example in docs/graphql.md does what it says, as it stands there.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { ask } from "./support/api.js";
import { within } from "./support/client.js";
import { startLakh } from "./support/server.js";

const here = dirname(fileURLToPath(import.meta.url));
const page = readFileSync(join(here, "../../docs/graphql.md"), "utf8");

// A block of the page by its language, and for programs by the name in their first line.
function blocks(language) {
  return [...page.matchAll(/```(\w+)\n(.*?)```/gs)].filter(([, found]) => found === language).map(([, , text]) => text);
}
const program = (name) => blocks("js").find((text) => text.startsWith(`// ${name}`));

// Runs a program of the page; `said` waits until it has written a line.
function run(t, folder, name, env) {
  const file = join(folder, name);
  writeFileSync(file, program(name));
  const child = spawn(process.execPath, [file], { env: { ...process.env, ...env }, stdio: ["ignore", "pipe", "inherit"] });
  t.after(() => child.kill("SIGKILL"));
  let text = "";
  let more = () => {};
  child.stdout.setEncoding("utf8").on("data", (part) => {
    text += part;
    more();
  });
  const said = (line) =>
    within(
      (async () => {
        while (!text.includes(line)) await new Promise((done) => (more = done));
      })(),
      `${name} to say ${line}`,
    );
  return { child, said };
}

test("its programs tell who comes and goes, and what is said", async (t) => {
  const server = await startLakh();
  t.after(() => server.stop());
  // Where the programs find their packages.
  const folder = mkdtempSync(join(here, "node_modules", ".docs-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const watch = run(t, folder, "watch.mjs", { LAKH: `${server.url.replace("http", "ws")}/api/v1/graphql` });
  await watch.said("there are []");
  const room = run(t, folder, "room.mjs", { LAKH_URL: server.url });
  await watch.said("came ");
  await watch.said("now 1");
  // The second subscription may have begun later than the first.
  const moved = watch.said("moved { card: 3 }");
  let heard = false;
  moved.then(() => (heard = true), () => (heard = true));
  while (!heard) {
    await ask(server.url, "POST", "/api/v1/emit", { body: { rooms: ["board:7"], event: "moved", data: { card: 3 } } });
    await Promise.race([moved, new Promise((done) => setTimeout(done, 50))]);
  }
  await moved;
  room.child.kill("SIGKILL");
  await watch.said("left ");
});

test("its documents are good GraphQL for the schema, and run", async (t) => {
  const server = await startLakh({ env: { LAKH_ROOMS__OPTIONS: '[{ pattern = "log:*", history = "memory" }]' } });
  t.after(() => server.stop());
  const documents = blocks("graphql");
  assert.equal(documents.length, 2);
  const curls = [...page.matchAll(/-d '(\{.*?\})'\n/gs)].map(([, text]) => JSON.parse(text));
  assert.equal(curls.length, 2);
  for (const body of [...documents.map((query) => ({ query })), ...curls]) {
    const answer = await ask(server.url, "POST", "/api/v1/graphql", { body });
    assert.equal(answer.status, 200, answer.text);
    assert.equal(answer.body.errors, undefined, answer.text);
  }
});
