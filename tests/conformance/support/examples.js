// The examples of a page of docs/: its blocks by section, run one behind the other as in a browser's console.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { within } from "./sockets.js";

const AsyncFunction = (async () => {}).constructor;

export function examplesOf(name) {
  const page = readFileSync(new URL(`../../../docs/${name}`, import.meta.url), "utf8");

  // Section → its blocks of a language, in order.
  function blocks(language) {
    const found = new Map();
    let section = "";
    for (const part of page.matchAll(/^##+ (.+)$|^```(\w*)\n([^]*?)^```$/gm)) {
      const [, heading, kind, text] = part;
      if (heading) section = heading;
      else if (kind === language) found.set(section, [...(found.get(section) ?? []), text]);
    }
    return found;
  }

  const examples = blocks("js");
  const ran = new Set();

  // Runs the examples of a section, with the names in `given` at hand, and gives what `wanted` names there.
  async function run(section, given, wanted = [], which = examples.get(section)?.map((_, at) => at)) {
    const text = which.map((at) => {
      ran.add(`${section} ${at}`);
      return examples.get(section)[at].replaceAll('import("/client.js")', "client");
    });
    const names = { console: { log() {} }, ...given };
    const body = `${text.join("\n")}\nreturn { ${wanted.join(", ")} };`;
    const made = new AsyncFunction(...Object.keys(names), body);
    return within(made(...Object.values(names)), `the examples of "${section}"`);
  }

  // Fails if an example of the page was not run, or if there are fewer of them than `least`.
  function allRan(least) {
    const all = [...examples].flatMap(([section, texts]) => texts.map((_, at) => `${section} ${at}`));
    assert.deepEqual(all.filter((example) => !ran.has(example)), []);
    assert.ok(all.length >= least, `${all.length} examples`);
  }

  return { page, blocks, run, allRan };
}
