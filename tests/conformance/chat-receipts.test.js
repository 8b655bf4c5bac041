// What people have read, what is sent later and who is reminded, with stock clients of the real binary.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { Webhook } from "standardwebhooks";
import { TRANSPORTS, connect, next, ok, within } from "./support/client.js";
import { startLakh } from "./support/server.js";

const SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

// A backend that notes the events of its hook.
class Backend {
  events = [];
  #more = () => {};

  async start() {
    this.server = createServer(async (request, response) => {
      const chunks = [];
      for await (const chunk of request) chunks.push(chunk);
      const body = new Webhook(SECRET).verify(Buffer.concat(chunks).toString(), request.headers);
      this.events.push(...body.events);
      response.writeHead(204).end();
      this.#more();
    });
    await new Promise((done) => this.server.listen(0, "127.0.0.1", done));
    return `http://127.0.0.1:${this.server.address().port}/`;
  }

  // The first event for which that holds.
  async until(what, wanted) {
    const found = async () => {
      for (;;) {
        const event = this.events.find(wanted);
        if (event) return event;
        await new Promise((done) => (this.#more = done));
      }
    };
    return within(found(), what);
  }

  stop() {
    this.server.closeAllConnections();
    this.server.close();
  }
}

const backend = new Backend();
const folder = mkdtempSync(join(tmpdir(), "lakh-receipts-"));
let server;
before(async () => {
  const config = join(folder, "lakh.toml");
  const url = await backend.start();
  const endpoint = `[[hooks.endpoints]]\nname = "crm"\nurl = "${url}"\nsecret = "${SECRET}"\nevents = ["module:message:*"]\n`;
  writeFileSync(config, `${endpoint}[chat]\noffline_after_s = 1\n`);
  server = await startLakh({ env: { LAKH_CONFIG: config } });
});
after(async () => {
  await server.stop();
  backend.stop();
  rmSync(folder, { recursive: true });
});

let rooms = 0;
const freshRoom = () => `read-${(rooms += 1)}`;
const here = (t, name, options) =>
  connect(t, `${server.url}/chat`, { transports: ["websocket"], auth: { name }, ...options });

const say = (socket, room, key, more = {}) => ok(socket, "message:send", { room, key, text: key, ...more });

for (const [name, options] of Object.entries(TRANSPORTS)) {
  test(`${name}: two devices of a person and another member know what was read`, async (t) => {
    const room = freshRoom();
    const [phone, laptop, ben] = await Promise.all(["Ada", "Ada", "Ben"].map((who) => here(t, who, options)));
    // The laptop doesn't watch the room.
    for (const socket of [phone, ben]) await ok(socket, "room:join", { room });
    const changed = next(laptop, "unread:changed");
    const { message } = await say(ben, room, "k1", { mentions: ["dev:ada"] });
    assert.deepEqual((await changed)[0], { room, unread: 1, mentions: 1, last: message });
    const { room: got } = await ok(laptop, "room:get", { room });
    assert.deepEqual([got.mine.read, got.mine.unread, got.mine.mentions], [0, 1, 1]);

    const [atLaptop, atBen] = [next(laptop, "receipt:update"), next(ben, "receipt:update")];
    const read = await ok(phone, "receipt:read", { room, seq: 1 });
    assert.deepEqual(read, { ok: true, read: 1, delivered: 1, unread: 0, mentions: 0 });
    const user = { id: "dev:ada", name: "Ada" };
    assert.deepEqual((await atLaptop)[0], { room, user, read: 1, delivered: 1, unread: 0, mentions: 0 });
    assert.deepEqual((await atBen)[0], { room, user, read: 1, delivered: 1 });

    const { people, cursor } = await ok(ben, "receipt:list", { room });
    assert.equal(cursor, null);
    assert.deepEqual(people[0], { ...user, read: 1, delivered: 1 });
    await ok(phone, "receipt:unread", { room, seq: 1 });
    const totals = await ok(laptop, "unread:get", {});
    const here_ = totals.rooms.find((one) => one.room === room);
    assert.deepEqual(here_, { room, read: 0, delivered: 1, unread: 1, mentions: 1 });
    await ok(laptop, "receipt:read_all", {});
    assert.equal((await ok(phone, "unread:get", {})).unread, 0);
  });
}

test("a message is sent at its time, and one that expires is gone at its", async (t) => {
  const room = freshRoom();
  const [ada, ben] = await Promise.all([here(t, "Ada"), here(t, "Ben")]);
  for (const socket of [ada, ben]) await ok(socket, "room:join", { room });
  const heard = next(ben, "message:new");
  const at = Date.now() + 1_500;
  const { scheduled } = await say(ada, room, "later", { at });
  assert.deepEqual(
    [scheduled.room, scheduled.key, scheduled.text, scheduled.at],
    [room, "later", "later", at],
  );
  const listed = (await ok(ada, "scheduled:list", { room })).scheduled;
  assert.deepEqual(listed, [scheduled]);
  const [message] = await heard;
  assert.deepEqual([message.seq, message.text], [1, "later"]);
  assert.ok(message.time >= at, `${message.time} is before ${at}`);
  assert.deepEqual((await ok(ada, "scheduled:list", { room })).scheduled, []);

  const changed = next(ben, "message:changed");
  await say(ada, room, "short", { expires_in_s: 1 });
  const [change] = await changed;
  assert.deepEqual([change.seq, change.what, change.set.text, change.by], [2, "expire", "", undefined]);
  const { messages } = await ok(ben, "message:history", { room });
  assert.deepEqual(messages.map(({ text }) => text), ["later", ""]);
});

test("who is away is told to the backend once, and who is there is not", async (t) => {
  const room = freshRoom();
  const [ada, ben, cy] = await Promise.all(["Ada", "Ben", "Cy"].map((name) => here(t, name)));
  for (const socket of [ada, ben, cy]) await ok(socket, "room:join", { room });
  const left = next(ada, "presence:update");
  cy.disconnect();
  assert.equal((await left)[0].user.name, "Cy");
  for (const key of ["1", "2", "3"]) await say(ada, room, key);
  const of = (event) => event.event === "message:unread" && event.room === room;
  const { data, user, seq } = await backend.until("a reminder", of);
  const person = { id: "dev:cy", name: "Cy" };
  assert.deepEqual(
    { ...data, message: data.message.text },
    { room, person, unread: 3, mentions: 0, message: "3" },
  );
  assert.deepEqual([user, seq], [person, 3]);
  // The next one is of a later message; until it comes there was no other.
  await say(ada, room, "4");
  const later = await backend.until("another reminder", (event) => of(event) && event.seq === 4);
  assert.equal(later.data.unread, 4);
  assert.equal(backend.events.filter(of).length, 2);
});
