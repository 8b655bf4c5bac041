// `kill -9` under a chat in use: no acknowledged message lost, none doubled, no hole, and everybody sees the same.
//
// KILLED_SEED plays the same acts again (not how processes interleave); longer: `make chaos-chat ARGS="--kills 50"`.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Facts, Ledger } from "./support/killed/ledger.js";
import { run } from "./support/killed/run.js";

const seed = Number(process.env.KILLED_SEED ?? Date.now() % 1_000_000);

for (const [what, options] of [
  ["a node with its store in a file", { nodes: 1, kills: 6 }],
  ["three nodes over Redis", { nodes: 3, kills: 6 }],
]) {
  test(`${what}, killed and restarted under load`, async (t) => {
    t.diagnostic(`KILLED_SEED=${seed}`);
    const { wrong, summary } = await run(seed, options);
    t.diagnostic(summary);
    assert.deepEqual(wrong.slice(0, 10), [], `seed ${seed}: ${wrong.length} wrong; ${summary}`);
  });
}

// What would be found wrong, in a room where Ada has said "one" and then "two", and "two" was edited.
function judged(change) {
  const facts = new Facts();
  const ledger = new Ledger(facts);
  const ada = { id: "dev:ada", name: "Ada" };
  const messages = new Map();
  for (const [index, text] of ["one", "two"].entries()) {
    const message = { room: "r", seq: index + 1, key: text, from: ada, text, time: 1 };
    ledger.placed(ledger.send(ada, { room: "r", key: text, text }), message);
    messages.set(`0 ${message.seq}`, message);
  }
  const [, two] = ledger.sent.values();
  two.texts.push("two!");
  two.edits = 1;
  Object.assign(messages.get("0 2"), { text: "two!", edits: 1 });
  change({ facts, ledger, messages, ada });
  ledger.judge(new Map([["r", { messages, seq: 2 }]]));
  return facts.found.join("; ");
}

for (const [what, found, change] of [
  ["nothing", /^$/, () => {}],
  ["a lost message", /2 is missing|not there/, ({ messages }) => messages.delete("0 2")],
  ["a hole", /2 is missing/, ({ messages }) => (messages.get("0 2").seq = 3)],
  ["a doubled message", /is there 2 times/, ({ messages }) => (messages.get("0 2").key = "one")],
  ["another number than was acknowledged", /acknowledged as 1, is 2/, ({ messages }) => swap(messages)],
  ["a lost edit", /says "two" instead of "two!"/, ({ messages }) => (messages.get("0 2").text = "two")],
  ["an edit that was made twice", /counts 2 edits of 1/, ({ messages }) => (messages.get("0 2").edits = 2)],
  ["a lost deletion", /is to be gone/, ({ ledger }) => ([...ledger.sent.values()][0].deleted = true)],
  ["a deletion that nobody asked for", /nobody has deleted/, ({ messages }) => (messages.get("0 1").deleted = {})],
  ["a lost reaction", /gave 👍, there is $/, ({ ledger, ada }) => ledger.reactionsOf("r", "0 1", ada).emoji.add("👍")],
  ["one number for two changes", /two of one number/, ({ facts }) => twice(facts)],
  ["one deletion as two changes", /told as 2 changes/, ({ facts }) => twoDeletions(facts)],
]) {
  test(`${what} is found`, () => assert.match(judged(change), found));
}

function swap(messages) {
  const [one, two] = messages.values();
  [one.key, two.key] = [two.key, one.key];
}

function twice(facts) {
  for (const text of ["a", "b"]) facts.note("message:changed", { room: "r", rev: 1, seq: 1, what: "edit", set: { text } });
}

function twoDeletions(facts) {
  for (const rev of [1, 2]) facts.note("message:changed", { room: "r", rev, seq: 1, what: "delete", set: {} });
}
