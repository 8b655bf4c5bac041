// Stock clients, and all that went wrong with each.

import { setTimeout as pause } from "node:timers/promises";
import { io } from "socket.io-client";
import { within as bounded } from "../../conformance/support/sockets.js";

export const POLLING = { transports: ["polling"], upgrade: false };
export const UPGRADING = { transports: ["polling", "websocket"] };
export const WEBSOCKET = { transports: ["websocket"] };

// Hundreds come at once here.
const BOUND_MS = 60_000;

export const within = (promise, what) => bounded(promise, what, BOUND_MS);

// A person behind a stock client.
export class Person {
  constructor(url, options) {
    this.socket = io(url, { forceNew: true, reconnectionDelay: 50, reconnectionDelayMax: 500, ...options });
    this.refused = [];
    this.lost = [];
    this.connects = 0;
    this.answers = 0;
    this.socket.on("connect", () => {
      this.connects += 1;
      this.sid = this.socket.io.engine.id;
    });
    this.socket.on("connect_error", (error) => this.refused.push(error.message));
    this.socket.on("disconnect", (reason) => this.lost.push(reason));
  }

  connected(times = 1) {
    if (this.connects >= times) return Promise.resolve(this);
    const connected = new Promise((done) => {
      const look = () => {
        if (this.connects < times) return;
        this.socket.off("connect", look);
        done(this);
      };
      this.socket.on("connect", look);
    });
    return within(connected, `connect number ${times} (refused: ${this.refused})`);
  }

  upgraded() {
    const { engine } = this.socket.io;
    if (engine.transport.name === "websocket") return Promise.resolve();
    return within(new Promise((done) => engine.once("upgrade", done)), "the upgrade");
  }

  // The node of the session.
  get node() {
    return this.sid.slice(0, 3);
  }

  async ask(room = "r") {
    const answer = await within(this.socket.emitWithAck("room:join", { room }), "an answer");
    if (!answer.ok) throw new Error(JSON.stringify(answer));
    this.answers += 1;
  }

  // Asks on and on, with a breath between; ends when `over.now` is true.
  async askUntil(over, breathMs) {
    while (!over.now) {
      if (this.socket.connected) {
        // What is on its way when a node dies is never answered.
        await Promise.race([this.ask(), new Promise((done) => this.socket.once("disconnect", done))]);
      }
      await pause(breathMs * (0.5 + Math.random()));
    }
  }

  end() {
    this.socket.disconnect();
  }
}

// So many people, not more than a few of whom shake hands at the same moment.
export async function crowd(t, url, count, options) {
  const people = [];
  t.after(() => people.forEach((person) => person.end()));
  for (let begun = 0; begun < count; begun += 25) {
    const some = Array.from({ length: Math.min(25, count - begun) }, () => new Person(url, options));
    people.push(...some);
    await Promise.all(some.map((person) => person.connected()));
  }
  return people;
}
