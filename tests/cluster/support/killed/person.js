// Somebody with one or two devices, who says, edits, reacts and deletes at random, one act at a time for each message.

import { setTimeout as pause } from "node:timers/promises";

// Fewer than a room may have.
const MOST_PINS = 50;
const EMOJI = ["👍", "🎉", "❤️", "👀"];
// Messages of a room that threads stand under, which nobody deletes.
export const ROOTS = 3;

export class Person {
  constructor({ number, rooms, noise, ledger, members }) {
    Object.assign(this, { number, rooms, noise, ledger, members });
    this.name = `P${number}`;
    this.id = `dev:p${number}`;
    this.serial = 0;
    // Own messages that may be edited and deleted, and places at which an act of theirs is on its way.
    this.own = [];
    this.busy = new Set();
    // By room: how far they have said to have read.
    this.read = new Map();
    this.scheduled = [];
  }

  // Acts on that device until it's told to stop.
  async act(device, isOn, pace_ms) {
    const acts = [
      [40, () => this.say(device)],
      [8, () => this.later(device)],
      [4, () => this.cancel(device)],
      [14, () => this.edit(device)],
      [8, () => this.remove(device)],
      [18, () => this.react(device)],
      [6, () => this.mark(device)],
      [4, () => this.forward(device)],
      [1, () => device.leave()],
      [this.number === 0 ? 6 : 0, () => this.pin(device)],
    ];
    const sum = acts.reduce((so_far, [weight]) => so_far + weight, 0);
    while (isOn()) {
      let left = this.noise.below(sum);
      const [, act] = acts.find(([weight]) => (left -= weight) < 0);
      await act();
      await pause(this.noise.below(2 * pace_ms + 1));
    }
  }

  // Asks until it's answered. `gone`: places of which "not there" may be said, if they are deleted.
  async ask(device, event, request, gone = []) {
    const { answer, asked } = await device.ask(event, request);
    if (!answer) throw new Error(`${event} was never answered`);
    if (answer.ok) {
      this.ledger.acked();
      return { answer, asked };
    }
    if (answer.error.code === "not_found" && gone.length === 1) this.ledger.gone(request.room, gone[0], request);
    if (answer.error.code !== "not_found" || gone.length === 0) {
      this.ledger.facts.wrong(`${event} ${JSON.stringify(request)} of ${this.id}: ${JSON.stringify(answer.error)}`);
    }
    return { answer, asked };
  }

  request(room) {
    this.serial += 1;
    return { room, key: `${this.name}-${this.serial}`, text: `${this.name} says ${this.serial} 🦜` };
  }

  async say(device) {
    const room = this.noise.of(this.rooms);
    const request = this.request(room);
    const seen = device.views.get(room).messages;
    const gone = [];
    if (this.noise.oneIn(6)) request.mentions = [this.noise.of(this.members(room)).id];
    if (this.noise.oneIn(12)) request.expires_in_s = 1 + this.noise.below(3);
    if (this.noise.oneIn(5) && seen.has(`0 ${ROOTS}`)) request.thread = 1 + this.noise.below(ROOTS);
    else if (this.noise.oneIn(6)) {
      const quoted = this.noise.of([...seen.values()].slice(-20));
      if (quoted && !quoted.thread && !quoted.deleted) {
        request.reply_to = quoted.seq;
        gone.push(`0 ${quoted.seq}`);
      }
    }
    const entry = this.ledger.send(this, request);
    // Some give up when there's no answer.
    if (this.noise.oneIn(10)) return this.sayOnce(device, request, entry);
    const { answer } = await this.ask(device, "message:send", request, gone);
    if (!answer.ok) return void (entry.state = "refused");
    this.sentAs(entry, answer.message);
  }

  async sayOnce(device, request, entry) {
    const { answer } = await device.ask("message:send", request, 1);
    if (!answer?.ok) return;
    this.ledger.acked();
    this.sentAs(entry, answer.message);
  }

  sentAs(entry, message) {
    this.ledger.placed(entry, message);
    const isRoot = entry.log === 0 && message.seq <= ROOTS;
    if (!entry.expires && !isRoot) this.own.push(entry);
  }

  // One message into two rooms by one key: after a death between the two the retry does what was left.
  async forward(device) {
    const from = this.noise.of(this.rooms);
    const message = this.noise.of([...device.views.get(from).messages.values()].slice(-20));
    if (!message || message.thread || message.deleted || message.expires_at) return;
    this.serial += 1;
    const key = `${this.name}-f${this.serial}`;
    const to = this.rooms.filter((room) => room !== from).slice(0, 2);
    // What it says by the time that it's forwarded is its author's business.
    const entries = to.map((room) => this.ledger.send(this, { room, key, text: undefined }));
    const request = { room: from, seq: message.seq, to, key };
    const { answer } = await this.ask(device, "message:forward", request, [`0 ${message.seq}`]);
    if (answer.ok) entries.forEach((entry, index) => this.ledger.placed(entry, answer.messages[index]));
  }

  async later(device) {
    const request = { ...this.request(this.noise.of(this.rooms)), at: Date.now() + 300 + this.noise.below(5_000) };
    const entry = this.ledger.send(this, request);
    const { answer } = await this.ask(device, "message:send", request);
    if (!answer.ok) return;
    // From here on it will be there, whatever happens.
    entry.state = "scheduled";
    if (answer.scheduled) this.scheduled.push({ entry, id: answer.scheduled.id });
    else this.ledger.placed(entry, answer.message);
  }

  async cancel(device) {
    const [one] = this.scheduled.splice(this.noise.below(this.scheduled.length), 1);
    if (!one) return;
    const { answer, asked } = await device.ask("scheduled:cancel", { id: one.id });
    if (answer?.ok) one.entry.state = "cancelled";
    else if (answer?.error.code !== "not_found") this.ledger.facts.wrong(`cancel: ${JSON.stringify(answer)}`);
    // Sent before; or cancelled by an earlier try whose answer was lost.
    else if (asked > 1) one.entry.state = "unknown";
  }

  // Whether they own the room: the first does, but for what belongs to a thing.
  owns(room) {
    return this.number === 0 && !room.includes(":");
  }

  // An own message, for the time of one act.
  async withOwn(act) {
    const entry = this.own.length > 0 && this.noise.of(this.own);
    const name = entry && `${entry.room} ${entry.log} ${entry.seq}`;
    if (!entry || this.busy.has(name)) return;
    this.busy.add(name);
    const { room, log, seq } = entry;
    await act(entry, { room, thread: log || undefined, seq });
    this.busy.delete(name);
  }

  edit(device) {
    return this.withOwn(async (entry, named) => {
      this.serial += 1;
      const text = `${this.name} edits ${this.serial}`;
      entry.texts.push(text);
      entry.edits += 1;
      await this.ask(device, "message:edit", { ...named, text });
    });
  }

  remove(device) {
    return this.withOwn(async (entry, named) => {
      this.own.splice(this.own.indexOf(entry), 1);
      entry.deleted = true;
      await this.ask(device, this.owns(entry.room) && this.noise.oneIn(4) ? "message:purge" : "message:delete", named);
    });
  }

  // The owner pins what is theirs and takes pins away.
  pin(device) {
    return this.withOwn(async (entry, named) => {
      if (!this.owns(entry.room)) return;
      const pinned = !entry.pinned && this.own.filter((one) => one.room === entry.room && one.pinned).length < MOST_PINS;
      entry.pinned = pinned;
      await this.ask(device, "message:pin", { ...named, pinned });
    });
  }

  async react(device) {
    const room = this.noise.of(this.rooms);
    const seen = [...device.views.get(room).messages.values()];
    const message = this.noise.of(this.noise.oneIn(3) ? seen : seen.slice(-10));
    if (!message || message.deleted || message.expires_at) return;
    const place = `${message.thread ?? 0} ${message.seq}`;
    const name = `react ${room} ${place}`;
    if (this.busy.has(name)) return;
    this.busy.add(name);
    const given = this.ledger.reactionsOf(room, place, this);
    const emoji = this.noise.of(EMOJI);
    const event = this.noise.oneIn(4) ? "reaction:remove" : "reaction:add";
    const { seq, thread } = message;
    const { answer } = await this.ask(device, event, { room, seq, thread, emoji }, [place]);
    if (answer.ok && event === "reaction:remove") given.emoji.delete(emoji);
    if (answer.ok && event === "reaction:add") {
      if (room === "one") given.emoji.clear();
      given.emoji.add(emoji);
    }
    this.busy.delete(name);
  }

  async mark(device) {
    const room = this.noise.of(this.rooms);
    const view = device.views.get(room);
    const seq = Math.max(0, view.reach(0) - this.noise.below(10));
    if (seq === 0) return;
    const { answer } = await this.ask(device, "receipt:read", { room, seq });
    if (!answer.ok) return;
    if (answer.read < seq) this.ledger.facts.wrong(`${this.id} has read ${seq} of ${room}, and is told ${answer.read}`);
    this.read.set(room, Math.max(seq, this.read.get(room) ?? 0));
  }
}
