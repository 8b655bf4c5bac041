// People chat, nodes are killed under them; then it's looked at whether anything was lost, doubled or left out.

import { setTimeout as pause } from "node:timers/promises";
import { isDeepStrictEqual } from "node:util";
import { Device } from "./device.js";
import { Facts, Ledger } from "./ledger.js";
import { Noise } from "./noise.js";
import { Person, ROOTS } from "./person.js";
import { Site } from "./site.js";
import { history } from "./view.js";

// A room of each kind of reactions, and one that belongs to a thing.
const ROOMS = { each: { reactions: "each" }, one: { reactions: "one" }, "post:1": null, quiet: { reactions: "each" } };
const BOUND_MS = 60_000;
const HANDS = 2;

export const DEFAULTS = { nodes: 1, people: 12, kills: 6, acts: 250, pace_ms: 25, broker: undefined };

// Asks again and again until nothing is wrong any more; then gives what is.
async function settled(look) {
  const end = Date.now() + BOUND_MS;
  for (;;) {
    const wrong = await look();
    if (wrong.length === 0 || Date.now() > end) return wrong;
    await pause(50);
  }
}

class Run {
  constructor(seed, options) {
    Object.assign(this, { ...DEFAULTS, ...options, seed, noise: new Noise(seed), facts: new Facts() });
    this.ledger = new Ledger(this.facts);
    this.members = new Map();
    this.crowd = [];
    this.devices = [];
  }

  // The first makes the rooms and says what threads stand under; then the others come.
  async prepare() {
    this.site = await Site.start(this.nodes, { broker: this.broker });
    for (let number = 0; number < this.people; number += 1) {
      const rooms = Object.keys(ROOMS).filter((_, index) => number === 0 || index !== number % 4);
      const noise = new Noise(this.seed * 1_000 + number);
      const person = new Person({ number, rooms, noise, ledger: this.ledger, members: (room) => this.members.get(room) });
      this.crowd.push(person);
      for (const room of rooms) this.members.set(room, [...(this.members.get(room) ?? []), person]);
    }
    const [owner] = this.crowd;
    const first = this.device(owner);
    for (const [room, settings] of Object.entries(ROOMS)) {
      if (settings) await this.ok(first, "room:create", { id: room, settings });
      else await this.ok(first, "room:join", { room });
      for (let root = 1; root <= ROOTS; root += 1) {
        const request = owner.request(room);
        const { message } = await this.ok(first, "message:send", request);
        owner.sentAs(this.ledger.send(owner, request), message);
      }
    }
    await Promise.all(
      this.crowd.map(async (person) => {
        const device = person === owner ? first : this.device(person);
        for (const room of person.rooms) await this.ok(device, "room:join", { room });
        if (person.number % 3 === 1) this.device(person);
      }),
    );
  }

  device(person) {
    const device = new Device(person, this.site, new Noise(this.noise.below(2 ** 31)), this.facts);
    this.devices.push(device);
    return device;
  }

  async ok(device, event, request) {
    const { answer } = await device.ask(event, request);
    if (!answer?.ok) throw new Error(`${event} ${JSON.stringify(request)}: ${JSON.stringify(answer)}`);
    return answer;
  }

  async load() {
    let isOn = true;
    const hands = this.devices.flatMap((device) =>
      Array.from({ length: HANDS }, () => device.person.act(device, () => isOn, this.pace_ms)),
    );
    const working = Promise.all(hands);
    // Whatever goes wrong in an act ends the run at once.
    const failed = new Promise((_, fail) => working.catch(fail));
    await Promise.race([this.break(), failed]);
    isOn = false;
    await this.inTime(working, "the last answers");
  }

  async break() {
    for (let kill = 0; kill < this.kills; kill += 1) {
      await this.inTime(this.ledger.more(this.acts / 4 + this.noise.below(this.acts)), "people to be answered");
      const victims = [this.site.nodes[kill % this.nodes]];
      if (this.nodes > 2 && this.noise.oneIn(4)) victims.push(this.site.nodes[(kill + 1) % this.nodes]);
      await Promise.all(victims.map((node) => this.site.kill(node)));
      await pause(this.noise.below(600));
      await Promise.all(victims.map((node) => this.site.restart(node, !this.noise.oneIn(4))));
    }
    await this.inTime(this.ledger.more(this.acts), "people to be answered");
  }

  inTime(promise, what) {
    const late = pause(BOUND_MS, undefined, { ref: false }).then(() => {
      throw new Error(`waited ${BOUND_MS} ms for ${what}; asked and not answered: ${this.unanswered()}`);
    });
    return Promise.race([promise, late]);
  }

  unanswered() {
    const asked = this.devices.flatMap((device) =>
      [...device.asking].map((one) => ({ ...one, of: device.person.id, isHere: device.isHere })),
    );
    const away = this.devices.filter(({ isHere }) => !isHere).map(({ person, socket, came }) => {
      const { _readyState: state, _reconnecting: reconnecting, uri } = socket.io;
      return { of: person.id, came, state, reconnecting, uri, active: socket.active };
    });
    return JSON.stringify({ asked: asked.slice(0, 20), away });
  }

  // What a dead node has not told any more is noticed when the next thing is told.
  async lastWords() {
    const [owner, device] = [this.crowd[0], this.devices[0]];
    for (const room of owner.rooms) {
      const request = owner.request(room);
      const entry = this.ledger.send(owner, request);
      const { message } = await this.ok(device, "message:send", request);
      this.ledger.placed(entry, message);
      entry.texts.push(`last of ${room}`);
      entry.edits += 1;
      await this.ok(device, "message:edit", { room, seq: message.seq, text: `last of ${room}` });
    }
  }

  async judge() {
    this.observers = this.site.nodes.map((node) => this.observer(node));
    this.facts.found.push(...(await settled(() => this.due())));
    await this.lastWords();
    const histories = await this.histories(this.observers[0]);
    for (const observer of this.observers.slice(1)) {
      const others = await this.histories(observer);
      for (const room of Object.keys(ROOMS)) this.same(`history of ${room}`, histories.get(room), others.get(room));
    }
    this.ledger.judge(histories);
    for (const observer of this.observers) await this.search(observer, histories);
    this.facts.found.push(...(await settled(() => this.views(histories))));
    this.facts.found.push(...(await settled(() => this.unread(histories))));
  }

  // Somebody on that node alone, by whom history is read.
  observer(node) {
    const person = { name: "P0", id: "dev:p0", rooms: [] };
    const only = { any: () => node.url };
    const device = new Device(person, only, new Noise(1), this.facts);
    this.devices.push(device);
    return device;
  }

  async histories(observer) {
    const ask = (event, request) => this.ok(observer, event, request);
    const found = new Map();
    for (const room of Object.keys(ROOMS)) found.set(room, await history(ask, room));
    return found;
  }

  // The newest messages are found by what they say now, and deleted ones by nothing.
  async search(observer, histories) {
    for (const [room, { messages }] of histories) {
      for (const message of [...messages.values()].filter(({ deleted }) => !deleted).slice(-10)) {
        const words = `"${message.text}"`;
        const { hits } = await this.ok(observer, "message:search", { words, room, limit: 50 });
        const isSame = (hit) => hit.message.seq === message.seq && hit.message.thread === message.thread;
        if (!hits.some(isSame)) this.facts.wrong(`${room} ${message.thread ?? 0} ${message.seq} is not found by ${words}`);
        const others = hits.filter((hit) => hit.message.text !== message.text || hit.message.deleted);
        if (others.length > 0) this.facts.wrong(`${words} finds ${JSON.stringify(others)}`);
      }
    }
  }

  // What is still to be done at its time.
  async due() {
    const wrong = [];
    for (const person of this.crowd) {
      const device = this.devices.find((one) => one.person === person);
      const { scheduled } = await this.ok(device, "scheduled:list", {});
      for (const one of scheduled) wrong.push(`${one.key} of ${person.id} was to be sent at ${one.at}`);
    }
    const expiring = [...this.ledger.sent.values()].filter((entry) => entry.expires && entry.state === "acked");
    for (const { room, log, seq } of expiring) {
      const { message } = await this.ok(this.observers[0], "message:get", { room, thread: log || undefined, seq });
      if (!message.deleted) wrong.push(`${room} ${log} ${seq} was to expire at ${message.expires_at}`);
    }
    return wrong;
  }

  same(what, one, other) {
    if (one.seq !== other.seq || one.rev !== other.rev) {
      this.facts.wrong(`${what}: ${one.seq}, ${one.rev} and ${other.seq}, ${other.rev}`);
    }
    for (const wrong of differences(what, one.messages, other.messages)) this.facts.wrong(wrong);
  }

  // What devices show that is not as history has it.
  async views(histories) {
    const wrong = [];
    for (const { person, views, came } of this.devices) {
      for (const view of views.values()) {
        const { messages, seq, rev } = histories.get(view.room);
        const who = `${person.id} (connection ${came}) sees ${view.room}`;
        if (view.reach(0) !== seq || view.rev !== rev) wrong.push(`${who} up to ${view.reach(0)}, ${view.rev} of ${seq}, ${rev}`);
        wrong.push(...differences(who, quoting(view.messages), quoting(messages)));
      }
    }
    return wrong;
  }

  async unread(histories) {
    const wrong = [];
    for (const person of this.crowd) {
      for (const room of person.rooms) {
        const all = await Promise.all(this.observersOf(person).map((device) => this.ok(device, "room:get", { room })));
        const [mine, ...others] = all.map((answer) => answer.room.mine);
        const { messages, seq } = histories.get(room);
        const who = `${person.id} in ${room}`;
        if (others.some((other) => !isDeepStrictEqual(mine, other))) wrong.push(`${who}: nodes say ${JSON.stringify(all)}`);
        const said = person.read.get(room) ?? 0;
        if (mine.read < said) wrong.push(`${who}: has read ${said}, and ${mine.read} is known`);
        if (mine.unread !== seq - mine.read) wrong.push(`${who}: ${mine.unread} unread of ${seq} from ${mine.read}`);
        const meant = [...messages.values()].filter(
          (message) => !message.thread && message.seq > mine.read && message.mentions?.includes(person.id),
        );
        const mentions = meant.filter((message) => message.from.id !== person.id).length;
        if (mine.mentions !== mentions) wrong.push(`${who}: ${mine.mentions} mentions instead of ${mentions}`);
      }
    }
    return wrong;
  }

  // A device of theirs on each node.
  observersOf(person) {
    person.observers ??= this.site.nodes.map((node) => {
      const device = new Device({ name: person.name, id: person.id, rooms: [] }, { any: () => node.url }, new Noise(1), this.facts);
      this.devices.push(device);
      return device;
    });
    return person.observers;
  }

  summary() {
    const sent = [...this.ledger.sent.values()];
    const sum = (name) => this.devices.reduce((so_far, device) => so_far + device[name], 0);
    const syncs = this.devices.flatMap(({ views }) => [...views.values()]).reduce((so_far, view) => so_far + view.syncs, 0);
    const scheduled = sent.filter(({ state }) => state === "scheduled").length;
    return [
      `${this.site.kills} kills, ${this.ledger.acts} acts acknowledged, ${sent.length} messages (${scheduled} scheduled)`,
      `${sum("lost")} answers lost, ${sum("came")} connections (${sum("recovered")} recovered), ${syncs} times asked for what was missed`,
    ].join("; ");
  }

  async end() {
    for (const device of this.devices) device.end();
    await this.site?.stop();
  }
}

// A quote is told as of then, and read as of now: who shows it looks at the quoted message.
function quoting(messages) {
  const plain = ({ reply_to, ...message }) => ({ ...message, reply_to: reply_to?.seq });
  return new Map([...messages].map(([place, message]) => [place, plain(message)]));
}

function differences(what, one, other) {
  const wrong = [];
  for (const place of new Set([...one.keys(), ...other.keys()])) {
    const [left, right] = [one.get(place), other.get(place)];
    if (!isDeepStrictEqual(left, right)) wrong.push(`${what}, ${place}: ${JSON.stringify(left)} and ${JSON.stringify(right)}`);
  }
  return wrong;
}

// Gives what was wrong, and a line that says what was done.
export async function run(seed, options = {}) {
  const one = new Run(seed, options);
  try {
    await one.prepare();
    await one.load();
    await one.judge();
    return { wrong: one.facts.found, summary: one.summary() };
  } finally {
    await one.end();
  }
}
