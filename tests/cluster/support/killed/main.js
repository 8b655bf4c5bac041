// Kills nodes under a chat from the command line: longer, more often, by a seed. `--help` lists what can be said.

import { parseArgs } from "node:util";
import { DEFAULTS, run } from "./run.js";

const numbers = ["nodes", "people", "kills", "acts", "pace_ms"];
const options = { seed: { type: "string" }, runs: { type: "string", default: "1" }, help: { type: "boolean" } };
for (const name of [...numbers, "broker"]) options[name] = { type: "string" };
const { values } = parseArgs({ options });

if (values.help) {
  console.log(`--seed N  --runs N  --broker redis|redis-streams  ${numbers.map((name) => `--${name} ${DEFAULTS[name]}`).join("  ")}`);
  process.exit(0);
}
const given = Object.fromEntries(numbers.filter((name) => values[name]).map((name) => [name, Number(values[name])]));
if (values.broker) given.broker = values.broker;
let bad = 0;
for (let count = 0; count < Number(values.runs); count += 1) {
  const seed = values.seed ? Number(values.seed) + count : Date.now() % 1_000_000;
  const failed = (error) => ({ wrong: [error.stack], summary: "ended early" });
  const { wrong, summary } = await run(seed, given).catch(failed);
  console.log(`seed ${seed}: ${wrong.length === 0 ? "as it should be" : `${wrong.length} wrong`}; ${summary}`);
  for (const one of wrong.slice(0, 20)) console.log(`  ${one.slice(0, 1_500)}`);
  bad += wrong.length > 0 ? 1 : 0;
}
process.exit(bad > 0 ? 1 : 0);
