// A server and a browser for the tests of a file: there before the first of them, and gone behind the last.

import { after, before } from "node:test";
import { startLakh } from "../../conformance/support/server.js";
import { launch } from "./browser.js";

// `options` are those of `startLakh`; `furnish` is done once, with what has been started.
export function openHouse(options = {}, furnish = async () => {}) {
  const house = {};
  before(async () => {
    house.server = await startLakh(options);
    house.browser = await launch();
    await furnish(house);
  });
  after(async () => {
    await house.browser?.close();
    await house.server?.stop();
  });
  return house;
}
