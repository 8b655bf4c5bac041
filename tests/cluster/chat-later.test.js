// What is due on a fleet of the real binary: done once, whichever node is at it, and by another one if a node is killed.

import assert from "node:assert/strict";
import { createServer } from "node:http";
import { after, before, test } from "node:test";
import { first, ok, until } from "../conformance/support/sockets.js";
import { Nodes, connect } from "./support/nodes.js";

const SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

const fleet = new Nodes(["chat"], { LAKH_CHAT__OFFLINE_AFTER_S: "1" });
const { nodes } = fleet;
// What the backend was told: all events of its hook.
const told = [];
let backend;

before(async () => {
  backend = createServer(async (request, response) => {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    told.push(...JSON.parse(Buffer.concat(chunks)).events);
    response.writeHead(204).end();
  });
  await new Promise((done) => backend.listen(0, "127.0.0.1", done));
  const url = `http://127.0.0.1:${backend.address().port}/`;
  fleet.env.LAKH_HOOKS__ENDPOINTS = `[{ name = "crm", url = "${url}", secret = "${SECRET}", events = ["module:message:*"] }]`;
  await fleet.begin("n01", "n02");
});
after(async () => {
  await fleet.end();
  backend.closeAllConnections();
  backend.close();
});

const here = (t, node, name) => connect(t, node, "/chat", { name });

test("devices on two nodes know what was read on the other", async (t) => {
  const room = "devices";
  const [phone, laptop] = [await here(t, nodes[0], "Ada"), await here(t, nodes[1], "Ada")];
  const ben = await here(t, nodes[1], "Ben");
  for (const socket of [phone, ben]) await ok(socket, "room:join", { room });
  const changed = first(laptop, "unread:changed");
  const { message } = await ok(ben, "message:send", { room, key: "k", text: "x" });
  assert.deepEqual(await changed, { room, unread: 1, mentions: 0, last: message });
  const [atLaptop, atBen] = [first(laptop, "receipt:update"), first(ben, "receipt:update")];
  await ok(phone, "receipt:read", { room, seq: 1 });
  assert.equal((await atLaptop).unread, 0);
  assert.deepEqual(await atBen, { room, user: { id: "dev:ada", name: "Ada" }, read: 1, delivered: 1 });
});

test("who has no device on any node is told to the backend once", async (t) => {
  const room = "away";
  const ada = await here(t, nodes[0], "Ada");
  await ok(ada, "room:join", { room });
  // Ben is on the other node, Cy on none.
  const [ben, cy] = [await here(t, nodes[1], "Ben"), await here(t, nodes[1], "Cy")];
  for (const socket of [ben, cy]) await ok(socket, "room:join", { room });
  cy.disconnect();
  const of = (event) => event.event === "message:unread" && event.room === room;
  for (const key of ["1", "2", "3"]) await ok(ada, "message:send", { room, key, text: key });
  await until("a reminder", () => told.some(of));
  await ok(ada, "message:send", { room, key: "4", text: "4" });
  await until("another", () => told.some((event) => of(event) && event.seq === 4));
  const all = told.filter(of).map(({ data }) => [data.person.name, data.unread, data.message.text]);
  assert.deepEqual(all, [
    ["Cy", 3, "3"],
    ["Cy", 4, "4"],
  ]);
});

test("a scheduled message survives kill -9 of the node that took it, and is sent once", async (t) => {
  const room = "later";
  const watching = await here(t, nodes[1], "Ben");
  await ok(watching, "room:join", { room });
  const ada = await here(t, nodes[0], "Ada");
  await ok(ada, "room:join", { room });
  const heard = [];
  watching.on("message:new", (message) => heard.push(message.key));
  const at = Date.now() + 2_000;
  const keys = Array.from({ length: 20 }, (_, index) => `k${index}`);
  await Promise.all(keys.map((key, index) => ok(ada, "message:send", { room, key, text: key, at: at + index })));
  await nodes[0].stop("SIGKILL");
  await until("all to be sent", () => heard.length >= keys.length);
  // The other one comes back and finds nothing to do; what is sent now is the next message.
  nodes[0] = await fleet.launch("n01");
  const back = await here(t, nodes[0], "Ada");
  const { message } = await ok(back, "message:send", { room, key: "last", text: "last" });
  assert.equal(message.seq, keys.length + 1);
  assert.deepEqual((await ok(back, "scheduled:list", {})).scheduled, []);
  const { messages } = await ok(watching, "message:history", { room, limit: 100 });
  assert.deepEqual(messages.map(({ key }) => key).sort(), [...keys, "last"].sort());
});
