// A fleet of Lakh nodes and Node servers over one Redis, and stock clients of it.

import assert from "node:assert/strict";
import { once } from "node:events";
import { readFileSync, readdirSync } from "node:fs";
import { createClient } from "redis";
import { io } from "socket.io-client";
import { until, within } from "../../conformance/support/sockets.js";
import { startRedis, startServer } from "./processes.js";

export const ADAPTERS = {
  redis: { BROKER: "redis" },
  "redis-sharded, dynamic": { BROKER: "redis-sharded", MODE: "dynamic" },
  "redis-sharded, dynamic-private": { BROKER: "redis-sharded", MODE: "dynamic-private" },
  "redis-sharded, static": { BROKER: "redis-sharded", MODE: "static" },
  "redis-streams": { BROKER: "redis-streams" },
};

export const sorted = (list) => [...list].sort();
export const ids = (people) => sorted(people.map((person) => person.id));

// Waits until the process stands still: a signal does not stop all its threads at once.
async function stopped(pid) {
  const path = `/proc/${pid}/task`;
  const still = (task) => / T /.test(readFileSync(`${path}/${task}/stat`, "utf8").replace(/\(.*\)/, ""));
  await until(`${pid} to stop`, () => readdirSync(path).every(still));
}

// A stock client, and all that it got.
export class Person {
  constructor(node, { nsp = "/", rooms = [], data, ...options } = {}) {
    this.node = node;
    this.nsp = nsp;
    this.rooms = rooms;
    this.got = [];
    this.waiting = new Set();
    this.lost = [];
    const { auth, ...more } = options;
    this.socket = io(node.url + nsp, {
      transports: ["websocket"],
      forceNew: true,
      reconnection: false,
      auth: { rooms, ...(data !== undefined && { data }), ...auth },
      ...more,
    });
    this.socket.onAny((event, ...args) => {
      const answer = typeof args.at(-1) === "function" ? args.pop() : undefined;
      this.got.push([event, ...args]);
      if (answer) this.answer?.(answer, ...args);
      this.look();
    });
    this.socket.on("disconnect", (reason) => {
      this.lost.push(reason);
      this.look();
    });
  }

  look() {
    for (const waiting of this.waiting) waiting();
  }

  // Waits until what this person has seen is as wanted.
  when(what, wanted) {
    const seen = new Promise((done) => {
      const look = () => {
        const found = wanted(this);
        if (!found) return;
        this.waiting.delete(look);
        done(found);
      };
      this.waiting.add(look);
      look();
    });
    const told = () => `${what} on ${this.node.name}; got ${JSON.stringify(this.got)}, lost ${this.lost}`;
    return within(seen, what).catch(() => assert.fail(told()));
  }

  event(name) {
    return this.when(`the event ${name}`, ({ got }) => got.find(([event]) => event === name));
  }

  // All events of that name, in their order.
  events(name) {
    return this.got.filter(([event]) => event === name).map(([, ...args]) => args);
  }

  get id() {
    return this.socket.id;
  }

  end() {
    this.socket.disconnect();
  }
}

// A node and the client by which it's asked to do things.
class Member {
  constructor(server) {
    Object.assign(this, server);
    this.heard = [];
  }

  async open() {
    this.control = io(`${this.url}/control`, { transports: ["websocket"], forceNew: true });
    this.control.on("heard", (nsp, args) => this.heard.push([nsp, args]));
    await within(once(this.control, "connect"), `${this.name}'s control`);
  }

  ask(event, target = {}, ...args) {
    return within(this.control.emitWithAck(event, target, ...args), `${this.name} to ${event}`);
  }

  // Makes it stand still, until it's told SIGCONT.
  async hold() {
    this.signal("SIGSTOP");
    await stopped(this.pid);
  }

  // Ends it for good.
  kill() {
    this.control.disconnect();
    return this.stop();
  }

  emit(target, ...event) {
    return this.ask("emit", target, ...event);
  }
}

export class Fleet {
  // `kinds` are the members, such as ["lakh", "node"].
  static async start(adapter, kinds, { env = {}, redis } = {}) {
    const fleet = new Fleet();
    fleet.settings = { ...ADAPTERS[adapter], ...env };
    fleet.redis = redis ?? (await startRedis());
    fleet.people = [];
    fleet.serial = 0;
    fleet.nodes = [];
    try {
      if (fleet.redis.url.startsWith("redis:")) {
        fleet.asking = createClient({ url: fleet.redis.url, socket: { reconnectStrategy: () => 50 } });
        fleet.asking.on("error", () => {});
        await fleet.asking.connect();
      }
      await Promise.all(kinds.map((kind, index) => fleet.add(kind, index + 1)));
      await fleet.together();
    } catch (error) {
      await fleet.stop();
      throw error;
    }
    return fleet;
  }

  async add(kind, number) {
    const server = await startServer(kind, number, { REDIS: this.redis.url, ...this.settings });
    const member = new Member(server);
    this.nodes.push(member);
    this.nodes.sort((one, other) => (one.name < other.name ? -1 : 1));
    await member.open();
    return member;
  }

  // Ends a node at once and for good.
  kill(node) {
    this.nodes = this.nodes.filter((one) => one !== node);
    return node.kill();
  }

  of(kind) {
    return this.nodes.filter((node) => node.kind === kind);
  }

  // Waits until each node knows all others, in all namespaces: one of them is enough to go by, but streams count late.
  async together(nodes = this.nodes) {
    await Promise.all(
      nodes.map((node) =>
        until(`${node.name} to see ${nodes.length - 1} others`, async () => {
          const others = await node.ask("others");
          return others === nodes.length - 1;
        }),
      ),
    );
    // A broadcast of each reaches each: who was heard listens.
    const people = await Promise.all(nodes.map((node) => this.person(node)));
    for (const node of nodes) {
      const name = `together ${node.name}`;
      await until(`${node.name} to be heard`, async () => {
        await node.emit({}, name);
        return people.every((person) => person.events(name).length > 0);
      });
    }
    people.forEach((person) => person.end());
  }

  // A name that no other test uses.
  name(prefix) {
    this.serial += 1;
    return `${prefix}-${this.serial}`;
  }

  // Somebody who was let in this moment.
  async newcomer(node, options) {
    const person = new Person(node, options);
    this.people.push(person);
    if (!person.socket.connected) await within(once(person.socket, "connect"), `a client of ${node.name}`);
    return person;
  }

  // Somebody who is in their rooms, as all nodes know by then.
  async person(node, options) {
    const person = await this.newcomer(node, options);
    const target = { nsp: person.nsp, to: [person.id], local: true };
    await until(`${node.name} to have a socket in its rooms`, async () => {
      const { sockets } = await node.ask("fetch", target);
      return sockets[0] && person.rooms.every((room) => sockets[0].rooms.includes(room));
    });
    await this.subscribed(person);
    return person;
  }

  // Namespaces have channels, and rooms have some of their own where the sharded adapter is dynamic; a Node server tells
  // nobody when it has subscribed to them.
  async subscribed({ nsp, rooms }) {
    const { BROKER, MODE } = this.settings;
    if (BROKER === "redis-streams" || !this.asking) return;
    const sharded = BROKER === "redis-sharded";
    const has = async (channel, people) => {
      const nodes = new Set(people.filter((one) => one.nsp === nsp && one.socket.connected).map((one) => one.node));
      await until(`${nodes.size} nodes to subscribe to ${channel}`, async () => {
        const counts = await (sharded ? this.asking.pubSubShardNumSub([channel]) : this.asking.pubSubNumSub([channel]));
        return Number(Object.values(counts)[0]) >= nodes.size;
      });
    };
    // The classic adapter subscribes to its requests behind its broadcasts, which are a pattern.
    await has(`socket.io${sharded ? "" : "-request"}#${nsp}#`, this.people);
    if (!sharded || MODE === "static") return;
    for (const room of rooms.filter((name) => name.length !== 20 || MODE === "dynamic-private")) {
      await has(
        `socket.io#${nsp}#${room}#`,
        this.people.filter((one) => one.rooms.includes(room)),
      );
    }
  }

  // One client on each node, the n-th with the n-th of these options, or all with the same.
  everywhere(options = {}) {
    return Promise.all(
      this.nodes.map((node, index) => this.person(node, Array.isArray(options) ? options[index] : options)),
    );
  }

  // All that `node` sent before has reached these people, or won't.
  async fence(node, people, nsp = "/") {
    const name = this.name("fence");
    await node.emit({ nsp }, name);
    await Promise.all(people.map((person) => person.event(name)));
  }

  endPeople() {
    for (const person of this.people.splice(0)) person.end();
    for (const node of this.nodes) node.heard.length = 0;
  }

  async stop() {
    this.endPeople();
    for (const node of this.nodes) node.control?.disconnect();
    await Promise.all(this.nodes.map((node) => node.stop()));
    this.asking?.destroy();
    await this.redis.stop();
  }
}
