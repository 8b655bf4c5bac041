// Stock clients that write down what they see. Takes a plan and then commands as lines of JSON on standard input, tells
// how it stands on standard output, and writes its records into a file (their form: src/records.rs).
//
// Each client has a source address of its own, by which the proxies before the nodes know it, and picks a node at
// random for each new session: `manager.uri` is where the stock manager opens its next engine, and an engine stays with
// its address for all of its requests. So a session of long polling keeps its node, and a reconnect mostly finds another.

import { createWriteStream } from "node:fs";
import { Agent } from "node:http";
import { createInterface } from "node:readline";
import { io } from "socket.io-client";

const ANSWER_MS = 20_000;
const AGAIN_MS = 200;
const STATUS_MS = 50;

let plan;
let records;
let writing = false;
const clients = new Map();
const standing = { connected: 0, joined: 0, pending: 0, acked: 0, marks: {} };
let told = "";

const now = () => Math.round((performance.timeOrigin + performance.now()) * 1000 - plan.epoch_us);
const record = (...words) => records.write(`${words.join(" ")}\n`);

// Random numbers that a seed reproduces (mulberry32, public domain).
function noise(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

class Client {
  constructor({ client, address, transports, rooms, writes }) {
    Object.assign(this, { client, rooms, writes, joined: new Set(), marked: new Set(), number: 0, session: 0, inside: false });
    this.random = noise(plan.seed * 1000 + client);
    this.socket = io(this.pickNode(), {
      agent: new Agent({ localAddress: address }),
      transports,
      forceNew: true,
      reconnectionDelay: 50,
      reconnectionDelayMax: 500,
      timeout: 4000,
    });
    this.socket.io.on("reconnect_attempt", () => (this.socket.io.uri = this.pickNode()));
    this.socket.on("connect", () => this.connected());
    this.socket.on("disconnect", (reason) => this.lost(reason));
    this.socket.on("m", ({ w, n, r, mark }, origin) => {
      record("e", now(), client, r, w, n, origin?.seq ?? 0);
      if (!mark || this.marked.has(`${r} ${mark}`)) return;
      this.marked.add(`${r} ${mark}`);
      standing.marks[mark] = (standing.marks[mark] ?? 0) + 1;
    });
  }

  pickNode() {
    this.node = Math.floor(this.random() * plan.ports.length);
    return `http://127.0.0.1:${plan.ports[this.node]}`;
  }

  connected() {
    const { recovered, id } = this.socket;
    record("c", now(), this.client, this.node, recovered ? 1 : 0, id);
    standing.connected += 1;
    this.inside = true;
    this.session += 1;
    if (!recovered) {
      standing.joined -= this.joined.size;
      this.joined.clear();
    }
    for (const room of this.rooms) if (!this.joined.has(room)) this.join(room, this.session);
  }

  lost(reason) {
    // It's told as well when an engine closes before the server has let it in.
    if (this.inside) {
      this.inside = false;
      record("d", now(), this.client, reason);
      standing.connected -= 1;
    }
    // A stock client does not come back by itself when the server has sent it away.
    if (reason === "io server disconnect") setTimeout(() => this.socket.connect(), AGAIN_MS);
  }

  async join(room, session) {
    while (this.socket.connected && this.session === session) {
      const answer = await this.ask("room:join", { room });
      if (this.session !== session) return;
      if (answer.ok) {
        record("j", now(), this.client, room);
        this.joined.add(room);
        standing.joined += 1;
        return;
      }
      await new Promise((done) => setTimeout(done, AGAIN_MS));
    }
  }

  ask(event, request) {
    const failed = ({ message }) => {
      const code = message.includes("disconnected") ? "disconnected" : "timeout";
      return { ok: false, error: { code } };
    };
    return this.socket.timeout(ANSWER_MS).emitWithAck(event, request).catch(failed);
  }

  // Each number is sent once. Who is not connected, or not in the room, sends nothing: the client would keep it and send
  // it on another connection.
  async write(room, mark) {
    if (!this.socket.connected || !this.joined.has(room)) return false;
    const n = (this.number += 1);
    record("w", now(), this.client, room, n);
    standing.pending += 1;
    const data = { w: this.client, n, r: room, mark };
    const answer = await this.ask("room:emit", { room, event: "m", data });
    standing.pending -= 1;
    if (answer.ok) {
      record("a", now(), this.client, room, n);
      standing.acked += 1;
    } else record("x", now(), this.client, room, n, answer.error.code);
    return answer.ok;
  }

  // Writes into its rooms in turn, at random times around the mean.
  writeOn(turn = 0) {
    setTimeout(() => {
      if (!writing) return;
      this.write(this.writes[turn % this.writes.length]);
      this.writeOn(turn + 1);
    }, plan.every_ms * (0.5 + this.random()));
  }

  async mark(room, round) {
    while (!(await this.write(room, round))) await new Promise((done) => setTimeout(done, AGAIN_MS));
  }
}

function tell() {
  const text = JSON.stringify(standing);
  if (text !== told) process.stdout.write(`${text}\n`);
  told = text;
}

function begin(given) {
  plan = given;
  records = createWriteStream(plan.records);
  for (const one of plan.clients) clients.set(one.client, new Client(one));
  setInterval(tell, STATUS_MS);
}

const commands = {
  write() {
    writing = true;
    for (const client of clients.values()) if (client.writes.length) client.writeOn();
  },
  hush() {
    writing = false;
  },
  mark({ client, room, round }) {
    clients.get(client).mark(room, round);
  },
  end() {
    for (const { socket } of clients.values()) {
      socket.removeAllListeners();
      socket.disconnect();
    }
    records.end(() => process.exit(0));
  },
};

const input = createInterface({ input: process.stdin });
input.on("line", (line) => {
  const given = JSON.parse(line);
  if (given.do) commands[given.do](given);
  else begin(given);
});
// The driver is gone.
input.on("close", () => process.exit(3));
